// Where the record goes a second time, as the configuration has it now.
import type { Logger } from 'pino';
import type { Link } from '../access/audit/record.js';
import { AuditWebhook } from '../access/audit/webhook.js';
import { fetchTrusting } from '../access/outgoing/trusting-fetch.js';
import type { Metrics } from '../server/telemetry/metrics.js';
import type { AuditWebhookConfig, Config } from './config.js';
import { openEgress } from './egress.js';
import { readAuthorization } from './sections/audit.js';

/** Of what a collector answers nothing is used. */
const MAX_ANSWER_BYTES = 1024 * 1024;

interface Open {
  readonly webhook: AuditWebhook;
  readonly close: () => Promise<void>;
  /** To tell whether the configuration is still the same. */
  readonly described: string;
}

/** Outlives a change of the configuration; without a webhook nothing is copied. */
export class AuditCopy {
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  #open: Open | undefined;

  constructor(logger: Logger, metrics: Metrics) {
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** From now on; resolves once the one before has got what was held for it, as far as that goes. */
  async use({ auditWebhook, proxies }: Pick<Config, 'auditWebhook' | 'proxies'>): Promise<void> {
    const described = JSON.stringify([auditWebhook, proxies]);
    const old = this.#open;
    if (old?.described === described) return;
    this.#open = auditWebhook && { ...this.#opened(auditWebhook, proxies), described };
    await old?.close();
  }

  readonly add = (lines: Uint8Array, count: number): void => {
    this.#open?.webhook.add(lines, count);
  };

  checkpoint(link: Link): void {
    this.#open?.webhook.checkpoint(link);
  }

  async close(): Promise<void> {
    await this.#open?.close();
  }

  #opened(
    { url, authorizationFile: file, ca }: AuditWebhookConfig,
    proxies: Config['proxies'],
  ): Omit<Open, 'described'> {
    const egress = openEgress(proxies);
    const webhook = new AuditWebhook({
      url,
      fetch: fetchTrusting(ca, MAX_ANSWER_BYTES, egress.keptAgents),
      logger: this.#logger,
      onLines: (outcome, count) => {
        this.#metrics.auditCopied(outcome, count);
      },
      ...(file !== undefined && { authorization: () => readAuthorization(file) }),
    });
    return {
      webhook,
      close: async () => {
        await webhook.close();
        egress.close();
      },
    };
  }
}
