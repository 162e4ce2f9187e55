// Records on their way to something durable: those that wait while one write is synced share the next one.
import type { Clock } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import type { MoreSoon } from './audit-log.js';
import { gapRecord, type AuditRecord, type Gap } from './record.js';

export interface GroupCommitOptions {
  /** Makes some records durable, all or none as far as the answer goes. Never called while a call is under way. */
  readonly commit: (records: readonly AuditRecord[]) => Promise<void>;
  /** What was refused so far; several logs that follow each other share it. */
  readonly refusals: Refusals;
  readonly deadlineMs: number;
  readonly clock: Clock;
}

/** How a record is handed in. */
export interface Handing {
  /** How many requests are refused with it, where it cannot be made durable. Default is 1. */
  readonly requests?: number;
  /** Called before the next write if it became durable after it was refused. */
  readonly onLate?: () => void;
  /** Default is that it is the last one, and nothing is waited for. */
  readonly moreSoon?: MoreSoon | undefined;
}

/** How many records were refused since the last one that became durable. */
export class Refusals {
  #gap: Gap | undefined;

  add({ refused, sinceMs }: Gap): void {
    this.#gap = {
      refused: refused + (this.#gap?.refused ?? 0),
      sinceMs: Math.min(sinceMs, this.#gap?.sinceMs ?? Infinity),
    };
  }

  /** What is to be told; it is not kept. */
  take(): Gap | undefined {
    const gap = this.#gap;
    this.#gap = undefined;
    return gap;
  }
}

interface Waiting {
  readonly record: AuditRecord;
  /** It became durable, in time or not. */
  readonly resolve: () => void;
  /** Counts only the first time. */
  readonly refuse: (cause?: unknown) => void;
}

/** Node's timers may come that much too early. */
const EARLY_MS = 1;

/** Beyond it a record is refused at once, so that a sink that hangs costs no more than this. */
const MAX_WAITING = 1_024;

/**
 * Turns of the event loop for which a write waits for records that will soon be there: to sync takes many times as much
 * of a processor as one of them (PostgreSQL has `commit_delay` for the same).
 */
const MAX_TURNS = 8;
/** However long these take. */
const MAX_GATHER_MS = 2;

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #waiting = new Set<Waiting>();
  readonly #pending = new Set<Promise<void>>();
  #committing = false;
  #running = Promise.resolve();
  /** The write under way has taken longer than the deadline: whoever comes meanwhile need not wait for it. */
  #stuck = false;
  /** Since when the records of the write under way wait for it, on the clock of timers; `Infinity`: there is none. */
  #sinceMs = Infinity;
  /** As whoever handed in the last record says. */
  #moreSoon: MoreSoon | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /**
   * Resolves once the record is durable.
   *
   * @throws KeyholeError `audit_unavailable` if it is not within the deadline, or too many wait already. The record may
   * still be written later.
   */
  async append(record: AuditRecord, handing: Handing = {}): Promise<void> {
    const { requests = 1, onLate, moreSoon } = handing;
    if (this.#stuck || this.#pending.size >= MAX_WAITING) throw this.refusal(requests);
    const durable = this.#enqueue(record, requests, onLate);
    this.#pending.add(durable);
    this.#moreSoon = moreSoon;
    if (!this.#committing) this.#running = this.#run();
    try {
      await durable;
    } finally {
      this.#pending.delete(durable);
    }
  }

  /** Whether the write under way has taken longer than the deadline. */
  get stuck(): boolean {
    return this.#stuck;
  }

  /** Whether a write is under way, be it of records that were refused meanwhile. */
  get writes(): boolean {
    return this.#committing;
  }

  /** Resolves once nothing is written any more, however long that takes. */
  ended(): Promise<void> {
    return this.#running;
  }

  /** Resolves once every record handed in so far is durable or refused: within the deadline. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#pending);
  }

  /** Settles, and has the last refusals told, after which no record comes that would. Never rejects. */
  async end(): Promise<void> {
    await this.settled();
    const { refusals, clock } = this.#options;
    const gap = refusals.take();
    if (gap !== undefined) {
      await this.append(gapRecord(gap, clock.wall()), { requests: 0 }).catch(() => undefined);
    }
  }

  /** What is thrown for want of a record; it counts for the next gap. */
  refusal(requests = 1, cause?: unknown): KeyholeError {
    const { refusals, clock } = this.#options;
    if (requests > 0) refusals.add({ refused: requests, sinceMs: clock.wall() });
    const message = 'the record of the request could not be made durable';
    return new KeyholeError('audit_unavailable', message, { cause, retryAfterMs: 1_000 });
  }

  #enqueue(record: AuditRecord, requests: number, onLate: Handing['onLate']): Promise<void> {
    const { deadlineMs } = this.#options;
    return new Promise((resolve, reject) => {
      let open = true;
      const refuse = (cause?: unknown): void => {
        if (!open) return;
        open = false;
        clearTimeout(timer);
        this.#waiting.delete(waiting);
        reject(this.refusal(requests, cause));
      };
      const expire = (): void => {
        if (open) this.#stuck = performance.now() - this.#sinceMs + EARLY_MS >= deadlineMs;
        refuse();
      };
      // where the event loop stood still, what became durable meanwhile is heard of first
      const timer = setTimeout(() => setImmediate(expire), deadlineMs);
      const waiting: Waiting = {
        record,
        refuse,
        resolve: () => {
          if (!open) onLate?.();
          open = false;
          clearTimeout(timer);
          resolve();
        },
      };
      this.#waiting.add(waiting);
    });
  }

  async #run(): Promise<void> {
    this.#committing = true;
    while (this.#waiting.size > 0) {
      const sinceMs = performance.now();
      if (this.#moreSoon !== undefined) await this.#gather(sinceMs);
      const batch = [...this.#waiting];
      this.#waiting.clear();
      this.#sinceMs = sinceMs;
      if (batch.length > 0) await this.#commit(batch);
      this.#sinceMs = Infinity;
      this.#stuck = false;
    }
    this.#committing = false;
  }

  /** One turn in any case: what comes together is seldom read in the same one. */
  async #gather(sinceMs: number): Promise<void> {
    let turns = 0;
    do {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    } while (turns < MAX_TURNS && performance.now() < sinceMs + MAX_GATHER_MS && this.#moreSoon?.() === true);
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const { commit, refusals, clock } = this.#options;
    const gap = refusals.take();
    const records = batch.map(({ record }) => record);
    if (gap !== undefined) records.unshift(gapRecord(gap, clock.wall()));
    try {
      await commit(records);
    } catch (error) {
      if (gap !== undefined) refusals.add(gap);
      for (const { refuse } of batch) refuse(error);
      return;
    }
    for (const { resolve } of batch) resolve();
  }
}
