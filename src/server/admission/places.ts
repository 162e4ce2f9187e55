// Places for work, and the line of those who wait for one.
import { MAX_WAIT_MS } from '../limits.js';

/** How many there are; they come with each call, so that a reload changes them. */
export interface PlaceCount {
  readonly places: number;
  /** Who waits at once, each at most a second. */
  readonly waiting: number;
  /** What one is told who cannot wait, or waited in vain. */
  readonly full: () => Error;
}

export class Places {
  /** As many as there were last said to be. */
  #places = 0;
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
    this.#places = places;
    this.#admitWaiting(); // there may be more places now
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

  #leave(): void {
    this.#taken -= 1;
    this.#admitWaiting();
  }

  /** Whoever is next in line, as long as a place is free: there may be fewer of them than are taken. */
  #admitWaiting(): void {
    for (const admit of this.#waiting) {
      if (this.#taken >= this.#places) return;
      this.#waiting.delete(admit);
      this.#taken += 1;
      admit();
    }
  }
}
