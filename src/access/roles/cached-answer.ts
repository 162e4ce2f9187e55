// One answer kept while it is fresh, and a while longer if it cannot be had anew; one load in flight.
import { KeyholeError } from '../../errors.js';
import { ageMs, momentOf, type Clock, type Moment } from '../clock.js';
import { untilAborted } from '../until-aborted.js';

export interface CachedAnswerOptions<T> {
  /** What is loaded, for the sentence of `authz_unavailable`. */
  readonly what: string;
  readonly load: (signal: AbortSignal) => Promise<Loaded<T>>;
  readonly freshMs: number;
  readonly staleMs: number;
  readonly clock: Clock;
  /** Told of each load that failed, with whether it was given up for taking longer than 30 s. */
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

/** Not complete within this time: an outage. */
const LOAD_DEADLINE_MS = 30_000;
/** After a failure the next load begins no earlier. */
const RETRY_MS = 1_000;
/** How long somebody waits for a new answer who can be served with the old one. */
const STALE_WAIT_MS = 1_000;

interface Kept<T> extends Loaded<T> {
  /** When its load began: no part of it is older. */
  readonly at: Moment;
}

export class CachedAnswer<T> {
  readonly #options: CachedAnswerOptions<T>;
  #kept: Kept<T> | undefined;
  #loading: Promise<Kept<T> | undefined> | undefined;
  #failedMs = -Infinity;
  #abort = new AbortController();

  constructor(options: CachedAnswerOptions<T>) {
    this.#options = options;
  }

  /**
   * The answer if it is fresh, else a new one, else the old one up to its `staleMs`. The caller's `signal` ends the
   * caller's wait, not the load. From half its freshness on, an answer in use is loaded anew in the background.
   *
   * @throws KeyholeError `authz_unavailable` with `retryAfterMs`
   */
  async get(signal: AbortSignal): Promise<Aged<T>> {
    const kept = this.#kept;
    const { age, freshMs } = this.#ageOf(kept);
    if (kept !== undefined && age < freshMs) {
      if (age >= freshMs / 2) void this.#load();
      return { value: kept.value, ageMs: age };
    }
    const stale = age < this.#options.staleMs ? kept : undefined;
    const wait = stale === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(STALE_WAIT_MS)]);
    const loaded = await untilAborted(this.#load(), wait, late).catch(() => undefined);
    const answer = loaded ?? stale;
    if (answer === undefined) throw this.#unavailable();
    return { value: answer.value, ageMs: ageMs(this.#options.clock, answer.at) };
  }

  /** Forgets the answer; a load under way still serves those who wait for it, nobody else. */
  clear(): void {
    this.#kept = undefined;
    this.#loading = undefined;
    this.#failedMs = -Infinity;
  }

  close(): void {
    this.clear();
    this.#abort.abort();
  }

  /** `undefined` if the load failed, or one failed just now. */
  #load(): Promise<Kept<T> | undefined> {
    const { clock } = this.#options;
    if (this.#loading !== undefined) return this.#loading;
    if (clock.monotonic() - this.#failedMs < RETRY_MS) return Promise.resolve(undefined);
    const loading = this.#attempt().then((kept) => {
      if (this.#loading !== loading) return kept;
      this.#loading = undefined;
      if (kept === undefined) this.#failedMs = clock.monotonic();
      else this.#kept = kept;
      return kept;
    });
    this.#loading = loading;
    return loading;
  }

  async #attempt(): Promise<Kept<T> | undefined> {
    const { clock, load, onFailure } = this.#options;
    const at = momentOf(clock);
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(LOAD_DEADLINE_MS)]);
    try {
      return { ...(await untilAborted(load(signal), signal, late)), at };
    } catch (error) {
      if (!this.#abort.signal.aborted) onFailure(error);
      return undefined;
    }
  }

  #ageOf(kept: Kept<T> | undefined): { age: number; freshMs: number } {
    const freshMs = kept?.freshMs ?? this.#options.freshMs;
    return { age: kept === undefined ? Infinity : ageMs(this.#options.clock, kept.at), freshMs };
  }

  #unavailable(): KeyholeError {
    return new KeyholeError('authz_unavailable', `${this.#options.what} cannot be had now`, {
      retryAfterMs: RETRY_MS,
    });
  }
}

function late(): Error {
  return new Error('not complete in time');
}
