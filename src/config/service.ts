// A codec server that runs: what SIGHUP reads anew, and its end.
import type { Writable } from 'node:stream';
import type { Logger } from 'pino';
import type { AuditLog } from '../access/audit/audit-log.js';
import { createCodecServer, type CodecServer } from '../server/app.js';
import { loggedError } from '../server/telemetry/error-log.js';
import type { Metrics } from '../server/telemetry/metrics.js';
import type { Tracing } from '../server/telemetry/tracing.js';
import { assemble, type Assembled } from './assemble.js';
import type { AuditCopy } from './audit-copy.js';
import { cannotListen } from './cannot-listen.js';
import type { Config } from './config.js';
import type { LoadResult } from './load-config.js';
import { openAudit, type AuditResult } from './open-audit.js';
import { problemLine, type Problem } from './reading/problems.js';
import { Replaced } from './replaced.js';

export interface ServiceOptions {
  readonly config: Config;
  /** Reads the configuration anew. */
  readonly load: () => Promise<LoadResult>;
  readonly logger: Logger;
  /** Where the record goes with `audit: stdout`. */
  readonly stdout: Writable;
  /** Absent: no traces. Whoever opened it closes it, after the service. */
  readonly tracing?: Tracing | undefined;
}

/** A stop waits that long for a reload that hangs, as where the disk of the configuration does not answer. */
const RELOAD_WITHIN_MS = 5_000;

export class Service {
  readonly #options: ServiceOptions;
  readonly #metrics: Metrics;
  readonly #copy: AuditCopy;
  readonly #server: CodecServer;
  readonly #replaced: Replaced;
  #config: Config;
  #audit: AuditLog;
  #assembled: Assembled;
  #reloading = Promise.resolve();
  #isStopped = false;
  #urls = { url: '', metrics: '' };

  constructor(
    options: ServiceOptions,
    { audit, copy, metrics }: { audit: AuditLog; copy: AuditCopy; metrics: Metrics },
    assembled: Assembled,
  ) {
    this.#options = options;
    this.#replaced = new Replaced(options.logger);
    this.#config = options.config;
    this.#audit = audit;
    this.#metrics = metrics;
    this.#copy = copy;
    this.#assembled = assembled;
    this.#server = createCodecServer({ ...assembled.parts, audit });
  }

  /** Where it listens, with the real ports. */
  get urls(): { readonly url: string; readonly metrics: string } {
    return this.#urls;
  }

  /** @throws Error with one sentence; then everything is closed. */
  async listen(): Promise<void> {
    const { server, metrics } = this.#config;
    try {
      const counted = await this.#metrics.listen(metrics).catch(cannotListen(metrics, 'metrics.listen'));
      const { url } = await this.#server.listen().catch(cannotListen(server.listen, 'listen'));
      this.#urls = { url, metrics: counted.url };
    } catch (error) {
      await this.#close();
      throw error;
    }
  }

  /**
   * One at a time, but for the record, which goes on in a new file at once, be it that the configuration cannot be read.
   * Never rejects: what is wrong is logged, and what ran goes on.
   */
  reload(): Promise<void> {
    const audit = this.#audit;
    const reopened = this.#reopen(audit);
    this.#reloading = this.#reloading
      .then(() => (this.#audit === audit ? reopened : this.#reopen(this.#audit)))
      .then(() => this.#reload())
      .catch((error: unknown) => {
        this.#options.logger.error({ error: loggedError(error) }, 'the reload failed; what ran goes on');
      });
    return this.#reloading;
  }

  /** Not ready at once, then no new connections; resolves when all is ended. `hurry` leaves out the delay. */
  async stop({ hurry }: { readonly hurry: boolean }): Promise<void> {
    await (hurry ? this.#server.close() : this.#server.drain());
    const late = new Promise<void>((resolve) => setTimeout(resolve, RELOAD_WITHIN_MS).unref());
    await Promise.race([this.#reloading, late]);
    this.#isStopped = true;
    await this.#close();
  }

  async #reload(): Promise<void> {
    const { logger } = this.#options;
    const loaded = await this.#load();
    if ('problems' in loaded) {
      this.#refuse(loaded.problems);
      return;
    }
    const { config } = loaded;
    const { tracing } = this.#options;
    const result = await assemble(config, { logger, metrics: this.#metrics, tracing }, this.#assembled);
    if ('problems' in result) {
      this.#refuse(result.problems);
      return;
    }
    if (await this.#isTooLate(result.assembled)) return;
    const audit = await this.#auditFor(config);
    if ('problems' in audit) {
      result.assembled.close();
      this.#refuse(audit.problems);
      return;
    }
    if (await this.#isTooLate(result.assembled, audit.audit)) return;
    await this.#recordChange(config, audit.audit).catch((error: unknown) => {
      result.assembled.close();
      throw error;
    });
    await this.#take(config, result.assembled, audit.audit);
  }

  async #reopen(audit: AuditLog): Promise<void> {
    await audit.reopen().catch((error: unknown) => {
      const { logger } = this.#options;
      logger.error({ error: loggedError(error) }, 'the audit file could not be reopened; the old one stays');
    });
  }

  /** However long that takes: to read it a second time meanwhile would only hang as well. */
  async #load(): Promise<LoadResult> {
    const { load, logger } = this.#options;
    const late = setTimeout(() => {
      logger.error('the configuration takes long to read; what ran goes on, and further reloads wait');
    }, RELOAD_WITHIN_MS);
    late.unref();
    try {
      return await load();
    } finally {
      clearTimeout(late);
    }
  }

  /** After a stop nothing is taken into use any more; closes what was opened for it. */
  async #isTooLate(assembled: Assembled, audit = this.#audit): Promise<boolean> {
    if (!this.#isStopped) return false;
    assembled.close();
    if (audit !== this.#audit) await audit.close();
    return true;
  }

  /** A file that is new begins with it. @throws KeyholeError `audit_unavailable`: then the old one stays. */
  async #recordChange({ digest }: Config, audit: AuditLog): Promise<void> {
    if (audit === this.#audit && digest !== this.#config.digest) await audit.configured(digest);
  }

  /** From here on nothing can be refused. */
  async #take(config: Config, assembled: Assembled, audit: AuditLog): Promise<void> {
    const { logger } = this.#options;
    const [old, oldAudit, oldFile] = [this.#assembled, this.#audit, fileOf(this.#config)];
    for (const setting of needingRestart(this.#options.config, config)) {
      logger.warn({ setting }, 'the new value is used after a restart only');
    }
    [this.#config, this.#assembled, this.#audit] = [config, assembled, audit];
    logger.level = config.logLevel;
    this.#server.reload({ ...assembled.parts, audit });
    void assembled.warm();
    this.#replaced.add(() => {
      old.close();
    });
    if (oldAudit !== audit) this.#replaced.add(() => oldAudit.close(), oldFile);
    void this.#copy.use(config);
    await this.#server.reloadTls();
    for (const warning of config.warnings) logger.warn(warning);
    logger.info({ configuration: config.file }, 'the configuration was read again');
  }

  #refuse(problems: readonly Problem[]): void {
    const { logger } = this.#options;
    for (const problem of problems) logger.error({ path: problem.path }, problemLine(problem));
    logger.error({ problems: problems.length }, 'the new configuration cannot be used; the old one stays');
  }

  /** The file that is open, unless the configuration names another one. */
  async #auditFor(config: Config): Promise<AuditResult> {
    const same = JSON.stringify(config.audit) === JSON.stringify(this.#config.audit);
    if (same) return { audit: this.#audit };
    // a log that is opened where an earlier one still writes would end that one's chain under its hands
    await this.#replaced.endLogOf(fileOf(config));
    return openAudit(config, { ...this.#options, metrics: this.#metrics, copy: this.#copy });
  }

  async #close(): Promise<void> {
    await this.#replaced.endAll();
    this.#assembled.close();
    await closeAudit(this.#audit, this.#copy);
    await this.#metrics.close();
  }
}

function fileOf({ audit }: Config): string | undefined {
  return audit === 'stdout' ? undefined : audit.file;
}

/** The last lines and the last checkpoint are copied too. */
async function closeAudit(audit: AuditLog, copy: AuditCopy): Promise<void> {
  await audit.close();
  await copy.close();
}

/** What is not as it was at the start, however often it was read since. */
function needingRestart(before: Config, after: Config): string[] {
  const settings: Record<string, (config: Config) => unknown> = {
    listen: ({ server }) => server.listen,
    'metrics.listen': ({ metrics }) => metrics,
    'limits.headerBytes': ({ server }) => server.limits.headerBytes,
    tls: ({ server }) => server.tls === undefined,
  };
  return Object.entries(settings)
    .filter(([, of]) => JSON.stringify(of(before)) !== JSON.stringify(of(after)))
    .map(([name]) => name);
}
