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

  /** Aborts once the time is up; made later than that, it is aborted already. */
  get signal(): AbortSignal {
    return this.#controller().signal;
  }

  /**
   * What `work` answers. Once the time is up, and whether work heeds `signal` or not, this rejects with `code`; work
   * that goes on may serve the next caller.
   *
   * @param mostMs - of the time, so much for this work: the rest is kept for what comes after it.
   */
  async run<T>(code: HttpErrorCode, work: () => Promise<T>, mostMs = Infinity): Promise<T> {
    const startedMs = this.#clock.monotonic();
    const leftMs = Math.max(0, this.#leftMs);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => {
          reject(new KeyholeError(code, 'what this request needs did not answer in time'));
          if (leftMs <= mostMs) this.#controller().abort();
        },
        Math.min(leftMs, mostMs),
      );
    });
    try {
      return await Promise.race([work(), late]);
    } finally {
      clearTimeout(timer);
      this.#leftMs -= this.#clock.monotonic() - startedMs;
    }
  }

  #controller(): AbortController {
    this.#abort ??= new AbortController();
    return this.#abort;
  }
}
