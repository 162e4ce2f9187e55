// The record a second time, for a collector: never instead of the file, and never in the way of a request.
import { setTimeout as pause } from 'node:timers/promises';
import { abortAfter, untilAborted } from '../../aborting.js';
import { systemClock, type Clock } from '../../clock.js';
import type { AccessLogger } from '../logger.js';
import type { TrustingFetch } from '../outgoing/trusting-fetch.js';
import { checkpointText } from './checkpoints.js';
import type { Link } from './record.js';

export interface AuditWebhookOptions {
  /** https */
  readonly url: string;
  /** Value of the `Authorization` header, asked for each batch. Default is none. */
  readonly authorization?: () => Promise<string>;
  readonly fetch: TrustingFetch;
  readonly logger: AccessLogger;
  /** Told of lines that were delivered, and of those that never will be. */
  readonly onLines?: (outcome: 'delivered' | 'dropped', count: number) => void;
  /** Lines that wait for a collector that does not answer, in bytes. Default is 8 MiB. */
  readonly heldBytes?: number;
  /** The first wait after a failure; each further one is up to twice as long, up to 60 s. Default is 1 s. */
  readonly retryMs?: number;
  /** How long the end waits for what is held. Default is 5 s. */
  readonly closeMs?: number;
  /** From 0 to 1, to spread the waits. Default is chance. */
  readonly random?: () => number;
  /** Default is the system's. */
  readonly clock?: Clock;
}

/** What goes in one request, as far as lines that were made durable together allow. */
const BATCH_BYTES = 512 * 1024;
const HELD_BYTES = 8 * 1024 * 1024;
const DEADLINE_MS = 10_000;
const LONGEST_WAIT_MS = 60_000;
/** What a collector will never take, however often it is asked. */
const NEVER = new Set([400, 413, 422]);

/** Lines that were made durable together. */
interface Lines {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** One request to the collector, and what becomes of it. */
interface Delivery {
  readonly type: string;
  readonly body: Uint8Array;
  /** Called once it was taken, or never will be. */
  readonly end: (outcome: 'delivered' | 'dropped') => void;
}

type Answer = 'delivered' | 'dropped' | 'again';

/**
 * POSTs the lines as they stand in the file (`application/x-ndjson`), in order, one request at a time; a checkpoint as
 * `{"checkpoint", "time"}` (`application/json`). Anything but a 2xx is tried again, so a line may come twice. Beyond
 * `heldBytes` new lines are dropped, which the log and `onLines` tell; the file has them.
 */
export class AuditWebhook {
  readonly #options: AuditWebhookOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #held: Lines[] = [];
  #heldBytes = 0;
  #checkpoint: Link | undefined;
  #running = Promise.resolve();
  #isRunning = false;
  #failures = 0;
  #dropped = 0;
  /** The question for it that is not answered yet. */
  #authorizing: Promise<string> | undefined;
  /** No wait is worth it any more. */
  readonly #ending = new AbortController();
  /** Ends the delivery under way; one for each, as a signal keeps a little for whatever was made from it. */
  #delivery = new AbortController();
  #isLate = false;

  constructor(options: AuditWebhookOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  /** Lines that are durable, each with its newline. */
  add(bytes: Uint8Array, count: number): void {
    const { heldBytes = HELD_BYTES } = this.#options;
    if (this.#ending.signal.aborted || this.#heldBytes + bytes.length > heldBytes) {
      this.#drop(count);
      return;
    }
    this.#held.push({ bytes, count });
    this.#heldBytes += bytes.length;
    this.#wake();
  }

  /** Of several that wait, the last is told. */
  checkpoint(link: Link): void {
    this.#checkpoint = link;
    this.#wake();
  }

  /** Delivers what is held, as far as that goes. */
  async close(): Promise<void> {
    this.#ending.abort();
    const late = setTimeout(() => {
      this.#isLate = true;
      this.#delivery.abort();
    }, this.#options.closeMs ?? 5_000);
    await this.#running;
    clearTimeout(late);
    this.#drop(this.#held.splice(0).reduce((sum, { count }) => sum + count, 0));
  }

  #wake(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const answer = await this.#post(next);
      if (answer !== 'again') next.end(answer);
      else if (this.#ending.signal.aborted) break;
      else await this.#wait();
    }
    this.#isRunning = false;
  }

  /** The checkpoint before the lines: it is small, and what it proves is in the file already. */
  #next(): Delivery | undefined {
    const checkpoint = this.#checkpoint;
    if (checkpoint !== undefined) {
      const told = { checkpoint: checkpointText(checkpoint), time: this.#clock.wall() };
      const end = (): void => {
        if (this.#checkpoint === checkpoint) this.#checkpoint = undefined;
      };
      return { type: 'application/json', body: Buffer.from(`${JSON.stringify(told)}\n`), end };
    }
    if (this.#held.length === 0) return undefined;
    const batch = this.#batch();
    const end = (outcome: 'delivered' | 'dropped'): void => {
      this.#settle(batch, outcome);
    };
    return { type: 'application/x-ndjson', body: Buffer.concat(batch.map(({ bytes }) => bytes)), end };
  }

  #batch(): Lines[] {
    let bytes = 0;
    const beyond = this.#held.findIndex((lines) => (bytes += lines.bytes.length) > BATCH_BYTES);
    return this.#held.slice(0, beyond === -1 ? undefined : Math.max(1, beyond));
  }

  #settle(batch: readonly Lines[], outcome: 'delivered' | 'dropped'): void {
    this.#held.splice(0, batch.length);
    for (const { bytes } of batch) this.#heldBytes -= bytes.length;
    const count = batch.reduce((sum, lines) => sum + lines.count, 0);
    if (outcome === 'dropped') this.#drop(count);
    else this.#options.onLines?.('delivered', count);
  }

  async #post({ type, body }: Delivery): Promise<Answer> {
    const { url, fetch } = this.#options;
    this.#delivery = new AbortController();
    if (this.#isLate) this.#delivery.abort();
    const signal = abortAfter(DEADLINE_MS, this.#delivery.signal);
    try {
      const headers = { 'content-type': type, ...(await this.#authorization(signal)) };
      const { status } = await fetch(url, { method: 'POST', headers, body, signal });
      if (status >= 200 && status < 300) return this.#delivered();
      this.#failed({ status });
      return NEVER.has(status) ? 'dropped' : 'again';
    } catch (error) {
      this.#failed({ error: nameOf(error) });
      return 'again';
    }
  }

  /** One question at a time: of a disk that hangs each would hold a thread, of which the record needs one too. */
  async #authorization(signal: AbortSignal): Promise<{ readonly authorization?: string }> {
    const { authorization } = this.#options;
    if (authorization === undefined) return {};
    this.#authorizing ??= authorization().finally(() => {
      this.#authorizing = undefined;
    });
    return { authorization: await untilAborted(this.#authorizing, signal) };
  }

  #delivered(): Answer {
    const { logger } = this.#options;
    if (this.#failures > 0 || this.#dropped > 0)
      logger.info({ dropped: this.#dropped }, 'the audit webhook takes lines again');
    this.#failures = 0;
    this.#dropped = 0;
    return 'delivered';
  }

  #failed(why: Readonly<Record<string, unknown>>): void {
    this.#failures += 1;
    if (this.#failures === 1)
      this.#options.logger.warn(why, 'the audit webhook does not take lines; they wait for it');
  }

  #drop(count: number): void {
    if (count === 0) return;
    if (this.#dropped === 0)
      this.#options.logger.warn({}, 'lines of the record are kept from the audit webhook: the file has them');
    this.#dropped += count;
    this.#options.onLines?.('dropped', count);
  }

  /** Full jitter: a fleet of servers does not ask at once. */
  async #wait(): Promise<void> {
    const { retryMs = 1_000 } = this.#options;
    const longest = Math.min(LONGEST_WAIT_MS, retryMs * 2 ** Math.min(this.#failures - 1, 16));
    const signal = this.#ending.signal;
    await pause(this.#random() * longest, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** Never its message, which may quote what was sent. */
function nameOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return error instanceof Error ? error.name : 'unknown error';
}
