// How long a caller waits for the parts we ask on their behalf, all of them together.
import type { MonotonicClock } from '../../clock.js';
import { KeyholeError, type HttpErrorCode } from '../../errors.js';
import { CALLER_DEADLINE_MS } from '../limits.js';

/** One a request. The time a caller takes to send the body does not count. */
export class CallerDeadline {
  readonly #clock: MonotonicClock;
  #leftMs: number;
  #abort: AbortController | undefined;

  constructor(clock: MonotonicClock, deadlineMs: number = CALLER_DEADLINE_MS) {
    this.#clock = clock;
    this.#leftMs = deadlineMs;
  }

  /** Aborts once the time is up. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /**
   * What `work` answers. Once the time is up, and whether work heeds `signal` or not, this rejects with `code`; work
   * that goes on may serve the next caller.
   */
  async run<T>(code: HttpErrorCode, work: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonic();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => {
          reject(new KeyholeError(code, 'what this request needs did not answer in time'));
          this.#abort?.abort();
        },
        Math.max(0, this.#leftMs),
      );
    });
    try {
      return await Promise.race([work(), late]);
    } finally {
      clearTimeout(timer);
      this.#leftMs -= this.#clock.monotonic() - startedMs;
    }
  }
}
