// One answer kept while it is fresh, and a while longer if it cannot be had anew; one load in flight.
import { untilAborted } from '../../aborting.js';
import { ageMs, momentOf, type Clock, type Moment } from '../../clock.js';
import { KeyholeError } from '../../errors.js';

export interface CachedAnswerOptions<T> {
  /** What is loaded, for the sentence of `authz_unavailable`. */
  readonly what: string;
  /** `again`: an answer that is in use is asked for anew. */
  readonly load: (signal: AbortSignal, again: boolean) => Promise<Loaded<T>>;
  readonly freshMs: number;
  readonly staleMs: number;
  readonly clock: Clock;
  /** Told of each load that failed, or was given up for taking too long. */
  readonly onFailure: (error: unknown) => void;
}

export interface Loaded<T> {
  readonly value: T;
  /** Asked anew after this time instead of `freshMs`. */
  readonly freshMs?: number;
}

export interface Aged<T> {
  readonly value: T;
  readonly ageMs: number;
}

/** Not complete within this time: an outage. What is in use may wait longer for its turn, up to half of `staleMs`. */
const LOAD_DEADLINE_MS = 30_000;
/** After a failure the next load begins no earlier. */
const RETRY_MS = 1_000;
/** How long a load may take before those who can be served with the old answer no longer wait for it. */
const STALE_WAIT_MS = 2_000;

interface Kept<T> extends Loaded<T> {
  /** When its load began: no part of it is older. */
  readonly at: Moment;
}

export class CachedAnswer<T> {
  readonly #options: CachedAnswerOptions<T>;
  #kept: Kept<T> | undefined;
  #loading: Promise<Kept<T> | undefined> | undefined;
  #failedMs = -Infinity;
  #whenKept = (): void => undefined;
  /** Aborts two seconds after the load under way began. */
  #patience = AbortSignal.abort();
  #abort = new AbortController();

  constructor(options: CachedAnswerOptions<T>) {
    this.#options = options;
  }

  /** The answer if it is fresh. From half its freshness on, an answer in use is loaded anew in the background. */
  fresh(): Aged<T> | undefined {
    const { clock, freshMs } = this.#options;
    const kept = this.#kept;
    if (kept === undefined) return undefined;
    const age = ageMs(clock, kept.at);
    if (age >= (kept.freshMs ?? freshMs)) return undefined;
    if (age >= freshMs / 2) void this.#load();
    return { value: kept.value, ageMs: age };
  }

  /**
   * The answer if it is fresh, else a new one, else the old one up to its `staleMs`. The caller's `signal` ends the
   * caller's wait, not the load; for a caller whose signal is aborted already nothing is loaded that was not there before.
   *
   * @throws KeyholeError `authz_unavailable` with `retryAfterMs`; the reason of a signal that is aborted already
   */
  async get(signal: AbortSignal): Promise<Aged<T>> {
    const { clock, staleMs } = this.#options;
    const fresh = this.fresh();
    if (fresh !== undefined) return fresh;
    const kept = this.#usable();
    if (kept === undefined) signal.throwIfAborted();
    const loading = this.#load();
    const wait = kept === undefined ? signal : AbortSignal.any([signal, this.#patience]);
    const answer = (await untilAborted(loading, wait, late).catch(() => undefined)) ?? this.#usable();
    const age = answer === undefined ? Infinity : ageMs(clock, answer.at); // a load may take longer than `staleMs`
    if (answer === undefined || age >= staleMs) throw this.#unavailable();
    return { value: answer.value, ageMs: age };
  }

  /** How much is kept; what is no list counts as one with rows. */
  get holds(): 'nothing' | 'no rows' | 'rows' {
    if (this.#kept === undefined) return 'nothing';
    return hasRows(this.#kept.value) ? 'rows' : 'no rows';
  }

  /** `told` is called whenever a load ended in something that is kept. */
  whenKept(told: () => void): void {
    this.#whenKept = told;
  }

  /** Forgets the answer, and gives up a load under way. */
  close(): void {
    this.#kept = undefined;
    this.#loading = undefined;
    this.#abort.abort();
  }

  /** `undefined` if the load failed, or one failed just now. */
  #load(): Promise<Kept<T> | undefined> {
    const { clock } = this.#options;
    if (this.#loading !== undefined) return this.#loading;
    if (clock.monotonic() - this.#failedMs < RETRY_MS) return Promise.resolve(undefined);
    this.#patience = AbortSignal.timeout(STALE_WAIT_MS);
    const loading = this.#attempt().then((kept) => {
      if (this.#loading !== loading) return kept;
      this.#loading = undefined;
      if (kept === undefined) this.#failedMs = clock.monotonic();
      else this.#keep(kept);
      return kept;
    });
    this.#loading = loading;
    return loading;
  }

  #keep(kept: Kept<T>): void {
    this.#kept = kept;
    this.#whenKept();
  }

  async #attempt(): Promise<Kept<T> | undefined> {
    const { clock, load, onFailure, staleMs } = this.#options;
    const at = momentOf(clock);
    const again = this.#kept !== undefined;
    const deadlineMs = again ? Math.max(LOAD_DEADLINE_MS, staleMs / 2) : LOAD_DEADLINE_MS;
    const timeUp = new AbortController();
    const signal = AbortSignal.any([timeUp.signal, this.#abort.signal]);
    // cleared once the load ends, which is mostly long before: else each of many would be remembered so long
    const timer = setTimeout(() => {
      timeUp.abort();
    }, deadlineMs);
    timer.unref();
    try {
      return { ...(await untilAborted(load(signal, again), signal, late)), at };
    } catch (error) {
      if (!this.#abort.signal.aborted) onFailure(error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  /** What is kept, unless it is too old even for an outage. */
  #usable(): Kept<T> | undefined {
    const { clock, staleMs } = this.#options;
    return this.#kept !== undefined && ageMs(clock, this.#kept.at) < staleMs ? this.#kept : undefined;
  }

  #unavailable(): KeyholeError {
    return new KeyholeError('authz_unavailable', `${this.#options.what} cannot be had now`, {
      retryAfterMs: RETRY_MS,
    });
  }
}

function hasRows(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value instanceof Map || value instanceof Set ? value.size > 0 : true;
}

function late(): Error {
  return new Error('not complete in time');
}
