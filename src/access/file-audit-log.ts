// The record in a file: durable before the answer, whatever happens to the file under us.
import { KeyholeError } from '../errors.js';
import type { AuditEvent, AuditLog } from './audit-log.js';
import { AuditFile, openForAppending, type OpenAuditFile } from './audit-file.js';
import { requestLine } from './audit-record.js';
import { systemClock, type Clock } from './clock.js';
import { GroupCommit, Refusals } from './group-commit.js';
import { untilAborted } from './until-aborted.js';

export interface AuditFileOptions {
  /** How long a record may take to become durable. Default is 1 s. */
  readonly deadlineMs?: number;
  /** Default is the system's. */
  readonly clock?: Clock;
  /** Default is the file system's. */
  readonly open?: OpenAuditFile;
}

/**
 * Opens the audit file to append to it (NDJSON, mode 0600 if it is new).
 *
 * @throws Error if the file cannot be opened, made or synced.
 */
export async function openAuditFile(path: string, options: AuditFileOptions = {}): Promise<AuditLog> {
  const { deadlineMs = 1_000, clock = systemClock, open = openForAppending } = options;
  const log = new FileAuditLog({ path, deadlineMs, clock, open });
  await log.reopen();
  return log;
}

/** A file, and what waits to be written to it. */
interface Current {
  readonly file: AuditFile;
  readonly commits: GroupCommit;
}

class FileAuditLog implements AuditLog {
  readonly #options: Required<AuditFileOptions> & { readonly path: string };
  readonly #refusals = new Refusals();
  #current: Current | undefined;

  constructor(options: Required<AuditFileOptions> & { readonly path: string }) {
    this.#options = options;
  }

  async append(event: AuditEvent): Promise<void> {
    if (this.#current === undefined) throw new KeyholeError('audit_unavailable', 'the audit file is closed');
    await this.#current.commits.append(requestLine(event, this.#options.clock.wall()));
  }

  /**
   * Goes on in the file that now lies at the path, made if there is none; the old one is closed once what was handed
   * in before is written. A write that hangs in the old one no longer matters.
   *
   * @throws Error if the file cannot be opened, made or synced; the old one then stays in use.
   */
  async reopen(): Promise<void> {
    const { path, open, deadlineMs, clock } = this.#options;
    const file = await AuditFile.create(path, open);
    const commits = new GroupCommit({ commit: file.append, refusals: this.#refusals, deadlineMs, clock });
    const old = this.#current;
    this.#current = { file, commits };
    await this.#finish(old);
  }

  async close(): Promise<void> {
    const last = this.#current;
    this.#current = undefined;
    await this.#finish(last);
  }

  /** Closing waits for a write that hangs; nobody waits for both. */
  async #finish(current: Current | undefined): Promise<void> {
    if (current === undefined) return;
    await current.commits.settled();
    const signal = AbortSignal.timeout(this.#options.deadlineMs);
    await untilAborted(current.file.close(), signal, () => new Error('late')).catch(() => undefined);
  }
}
