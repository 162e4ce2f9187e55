// How many requests a second go out: a bucket that refills while time passes.
import type { Clock } from '../clock.js';

export interface RequestBudgetOptions {
  readonly perSecond: number;
  readonly burst: number;
  readonly clock: Clock;
  /** Resolves after so many milliseconds, or rejects once `signal` aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

export class RequestBudget {
  readonly #options: RequestBudgetOptions;
  #tokens: number;
  #countedMs: number;

  constructor(options: RequestBudgetOptions) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#countedMs = options.clock.monotonic();
  }

  /** Takes one request, at once or when its turn comes; first come, first served. */
  async take(signal: AbortSignal): Promise<void> {
    const { perSecond, burst, clock, pause } = this.#options;
    const nowMs = clock.monotonic();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#countedMs) * perSecond) / 1000);
    this.#countedMs = nowMs;
    this.#tokens -= 1;
    if (this.#tokens < 0) await pause((-this.#tokens * 1000) / perSecond, signal);
  }
}
