// Places for work, and the line of those who wait for one.
import { MAX_WAIT_MS } from './limits.js';

/** How many there are; they come with each call, so that a reload changes them. */
export interface PlaceCount {
  readonly places: number;
  /** Who waits at once, each at most a second. */
  readonly waiting: number;
  /** What one is told who cannot wait, or waited in vain. */
  readonly full: () => Error;
}

export class Places {
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  get unused(): boolean {
    return this.#taken === 0;
  }

  /** Whether whoever comes now finds a place, or may wait for one. */
  hasRoom({ places, waiting }: PlaceCount): boolean {
    return this.#taken < places || this.#waiting.size < waiting;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Does `work` in a place, waiting for one at most a second. The place is free again once the work is done, whoever
   * went away meanwhile.
   *
   * @throws what `full` says; what `work` throws.
   */
  async during<T>(count: PlaceCount, work: () => Promise<T>): Promise<T> {
    await this.#enter(count);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(count: PlaceCount): Promise<void> {
    const { places, full } = count;
    if (!this.hasRoom(count)) throw full();
    if (this.#taken < places) {
      this.#taken += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const admit = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(admit);
        reject(full());
      }, MAX_WAIT_MS);
      this.#waiting.add(admit);
    });
  }

  /** Hands the place to the next in line, if there is one. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
