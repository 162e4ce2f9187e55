// How much this server has on its hands: requests in flight, requests that wait, body bytes held.
import { KeyholeError } from '../errors.js';
import { MAX_WAIT_MS, type Limits } from './limits.js';

/** One instance a server; the limits come with each call, so that a reload changes them. */
export class Admission {
  #inFlight = 0;
  #heldBytes = 0;
  #refused = 0;
  readonly #waiting = new Set<() => void>();

  /**
   * Does `work` in a place, waiting for one at most a second. The place is free again once the work is done, whether or
   * not its answer was taken and whoever went away meanwhile.
   *
   * @throws KeyholeError `overloaded`; what `work` throws.
   */
  async during<T>(limits: Limits, work: () => Promise<T>): Promise<T> {
    await this.#enter(limits);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter({ concurrency, waiting }: Limits): Promise<void> {
    if (this.#inFlight < concurrency) {
      this.#inFlight += 1;
      return;
    }
    if (this.#waiting.size >= waiting) throw overloaded();
    await new Promise<void>((resolve, reject) => {
      const admit = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(admit);
        reject(overloaded());
      }, MAX_WAIT_MS);
      this.#waiting.add(admit);
    });
  }

  /** Hands the place to the next in line, if there is one. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#inFlight -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }

  /**
   * Does `work` for somebody who is refused all the same: at most a quarter of the places, so that bodies that come
   * slowly from people without a role keep nobody else waiting.
   *
   * @throws the refusal where that many are served already; what `work` throws.
   */
  async duringRefusal<T>({ concurrency }: Limits, refusal: Error, work: () => Promise<T>): Promise<T> {
    if (this.#refused >= Math.ceil(concurrency / 4)) throw refusal;
    this.#refused += 1;
    try {
      return await work();
    } finally {
      this.#refused -= 1;
    }
  }

  /** @throws KeyholeError `overloaded`; then nothing is held. */
  hold(bytes: number, { heldBytes }: Limits): void {
    if (this.#heldBytes + bytes > heldBytes) throw overloaded();
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

function overloaded(): KeyholeError {
  return new KeyholeError('overloaded', 'this server is busy', { retryAfterMs: 1_000 });
}
