// The one place around every call to a key service: deadline, limits, retries, pauses, memory of refusals.
import { isKeyholeError, isPassing, KeyholeError } from '../errors.js';
import type { Observer } from '../observer.js';
import { Breaker } from './breaker.js';
import type { KeyContext, WrappingKey } from './wrapping-key.js';

export interface KeyCallsOptions {
  /** How long one operation may take in all, its retries included. Default is 4000. */
  readonly deadlineMs?: number;
  /** Calls in flight at once; further ones wait. Default is 32. */
  readonly concurrency?: number;
  /** Calls a second for this process, with a burst of five seconds' worth. Default is 200. */
  readonly callsPerSecond?: number;
  /** How long a refusal that will not pass is remembered. Default is 10000. */
  readonly refusalMs?: number;
  readonly observer?: Observer;
  /** Monotonic milliseconds. Default is `performance.now`. */
  readonly now?: () => number;
}

const MAX_TRIES = 3;
const MAX_BACKOFF_MS = 2_000;
const FIRST_BACKOFF_MS = 100;
const MAX_REFUSALS = 1_000;

/** Runs operations on wrapping keys; one instance a process. */
export class KeyCalls {
  readonly #deadlineMs: number;
  readonly #concurrency: number;
  readonly #rate: number;
  readonly #refusalMs: number;
  readonly #observer: Observer | undefined;
  readonly #now: () => number;
  readonly #breaker: Breaker;
  readonly #waiting: (() => void)[] = [];
  readonly #refusals = new Map<string, { readonly error: KeyholeError; readonly untilMs: number }>();
  #inFlight = 0;
  #tokens: number;
  #refilledMs: number;

  constructor(options: KeyCallsOptions = {}) {
    this.#deadlineMs = options.deadlineMs ?? 4_000;
    this.#concurrency = options.concurrency ?? 32;
    this.#rate = options.callsPerSecond ?? 200;
    this.#refusalMs = options.refusalMs ?? 10_000;
    this.#observer = options.observer;
    this.#now = options.now ?? (() => performance.now());
    this.#breaker = new Breaker(this.#now);
    this.#tokens = this.#rate * 5;
    this.#refilledMs = this.#now();
  }

  /**
   * Calls `operation` until it answers, refuses for good, or the deadline has passed. `refusalKey` names what a
   * refusal is remembered for.
   *
   * @throws KeyholeError whatever the wrapping key says; `key_unavailable` after the deadline.
   */
  async run<T>(
    kind: 'generate' | 'unwrap',
    key: WrappingKey,
    namespace: string | null,
    refusalKey: string,
    operation: (context: KeyContext) => Promise<T>,
  ): Promise<T> {
    const refusal = this.#refusals.get(refusalKey);
    if (refusal !== undefined && refusal.untilMs > this.#now()) throw refusal.error;
    try {
      return await this.#withDeadline(key, (signal, late) =>
        this.#try(kind, key, () => Promise.race([operation({ namespace, signal }), late]), signal),
      );
    } catch (error) {
      if (isKeyholeError(error) && !isPassing(error.code)) this.#remember(refusalKey, error);
      throw error;
    }
  }

  /** Forgets refusals and failures (SIGHUP). */
  clear(): void {
    this.#refusals.clear();
    this.#breaker.clear();
  }

  /**
   * A race, since not every SDK can abort: what still hangs then neither holds its place among the calls in flight
   * nor goes unreported.
   */
  async #withDeadline<T>(
    key: WrappingKey,
    work: (signal: AbortSignal, late: Promise<never>) => Promise<T>,
  ): Promise<T> {
    const abort = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(
          new KeyholeError(
            'key_unavailable',
            `the key service did not answer in time for ${key.provider} key ${key.name}`,
          ),
        );
        abort.abort();
      }, this.#deadlineMs);
    });
    try {
      return await Promise.race([work(abort.signal, late), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #try<T>(
    kind: 'generate' | 'unwrap',
    key: WrappingKey,
    operation: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once(kind, key, operation, signal);
      } catch (thrown) {
        const error = asKeyholeError(thrown, key);
        const backoffMs = Math.max(
          error.retryAfterMs ?? 0,
          Math.random() * FIRST_BACKOFF_MS * 4 ** (tries - 1),
        );
        const retry = isPassing(error.code) && error.code !== 'key_answer_invalid' && tries < MAX_TRIES;
        const isPaused = this.#breaker.pauseMs(nameOf(key)) > 0;
        if (!retry || isPaused || backoffMs > MAX_BACKOFF_MS || signal.aborted) throw error;
        await pause(backoffMs, signal);
      }
    }
  }

  async #once<T>(
    kind: 'generate' | 'unwrap',
    key: WrappingKey,
    operation: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    if (this.#breaker.pauseMs(nameOf(key)) > 0) throw this.#paused(key);
    this.#takeToken(key);
    await this.#enter(signal);
    try {
      if (!this.#breaker.admits(nameOf(key))) throw this.#paused(key);
      return await this.#reported(kind, key, operation);
    } finally {
      this.#leave();
    }
  }

  async #reported<T>(kind: 'generate' | 'unwrap', key: WrappingKey, operation: () => Promise<T>): Promise<T> {
    const startedMs = this.#now();
    let outcome: 'ok' | KeyholeError['code'] = 'ok';
    try {
      return await operation();
    } catch (thrown) {
      const error = asKeyholeError(thrown, key);
      outcome = error.code;
      if (isOutage(error)) this.#breaker.failed(nameOf(key), tooLong(error.retryAfterMs));
      throw error;
    } finally {
      if (outcome === 'ok' || !isPassing(outcome)) this.#breaker.answered(nameOf(key));
      const durationMs = this.#now() - startedMs;
      this.#observer?.({
        type: 'key_call',
        operation: kind,
        provider: key.provider,
        key: key.name,
        outcome,
        durationMs,
      });
    }
  }

  #paused(key: WrappingKey): KeyholeError {
    const retryAfterMs = this.#breaker.pauseMs(nameOf(key));
    const message = `the key service failed a moment ago; not called for ${key.provider} key ${key.name}`;
    return new KeyholeError('key_unavailable', message, { retryAfterMs });
  }

  /** The account's quota is shared with the workers, so calls beyond the rate are refused here, not sent. */
  #takeToken(key: WrappingKey): void {
    const nowMs = this.#now();
    this.#tokens = Math.min(this.#rate * 5, this.#tokens + ((nowMs - this.#refilledMs) / 1000) * this.#rate);
    this.#refilledMs = nowMs;
    if (this.#tokens < 1) {
      const message = `more key-service calls than ${this.#rate} a second are due; not called for ${key.provider} key ${key.name}`;
      throw new KeyholeError('key_throttled', message, { retryAfterMs: 1000 });
    }
    this.#tokens -= 1;
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#inFlight >= this.#concurrency)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inFlight += 1;
    if (!signal.aborted) return;
    this.#leave();
    throw new KeyholeError('key_unavailable', 'no key-service call was free in time');
  }

  /** Hands the place to the next in line, if there is one. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inFlight -= 1;
    else next();
  }

  #remember(refusalKey: string, error: KeyholeError): void {
    const [oldest] = this.#refusals.keys();
    if (this.#refusals.size >= MAX_REFUSALS && oldest !== undefined) this.#refusals.delete(oldest);
    this.#refusals.set(refusalKey, { error, untilMs: this.#now() + this.#refusalMs });
  }
}

/** Not what a single payload can bring about: a data key of the wrong length says nothing of the service. */
function isOutage({ code }: KeyholeError): boolean {
  return code === 'key_unavailable' || code === 'key_throttled';
}

/** What is longer than the wait before a further try. */
function tooLong(retryAfterMs = 0): number {
  return retryAfterMs > MAX_BACKOFF_MS ? retryAfterMs : 0;
}

function nameOf({ provider, name }: WrappingKey): string {
  return `${provider} ${name}`;
}

function asKeyholeError(thrown: unknown, key: WrappingKey): KeyholeError {
  if (isKeyholeError(thrown)) return thrown;
  return new KeyholeError('key_unavailable', `the key service failed for ${key.provider} key ${key.name}`, {
    cause: thrown,
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
