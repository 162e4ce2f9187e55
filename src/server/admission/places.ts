// Places for work, the line of those who wait for one, and work that lends its own.
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
  /** Those who lent theirs and want one again: before all others, and for them there is always room to wait. */
  readonly #returning = new Set<() => void>();

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
    return this.#waiting.size + this.#returning.size;
  }

  /**
   * Does `work` in a place, waiting for one at most a second. The place is free again once the work is done, whoever
   * went away meanwhile.
   *
   * @throws what `full` says; what `work` throws.
   */
  async during<T>(count: PlaceCount, work: (place: Place) => Promise<T>): Promise<T> {
    const place = new Place(this, count);
    await place.take();
    try {
      return await work(place);
    } finally {
      place.leave();
    }
  }

  /** Resolves once there is one, a second later at most. @throws what `full` says. */
  async take(count: PlaceCount): Promise<void> {
    const { places, full } = count;
    this.#places = places;
    this.#admitWaiting(); // there may be more places now
    if (!this.hasRoom(count)) throw full();
    await this.#takeFrom(this.#waiting, full);
  }

  /** The same for one who had a place before. @throws what `full` says. */
  async takeAgain({ full }: PlaceCount): Promise<void> {
    await this.#takeFrom(this.#returning, full);
  }

  async #takeFrom(line: Set<() => void>, full: () => Error): Promise<void> {
    if (this.#taken < this.#places) {
      this.#taken += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const admit = (): void => {
        line.delete(admit);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        line.delete(admit);
        reject(full());
      }, MAX_WAIT_MS);
      line.add(admit);
    });
  }

  leave(): void {
    this.#taken -= 1;
    this.#admitWaiting();
  }

  /** Whoever is next in line, as long as a place is free: there may be fewer of them than are taken. */
  #admitWaiting(): void {
    for (const line of [this.#returning, this.#waiting]) {
      for (const admit of line) {
        if (this.#taken >= this.#places) return;
        this.#taken += 1;
        admit();
      }
    }
  }
}

/** The place of one piece of work, which it may lend to others. */
export class Place {
  readonly #places: Places;
  readonly #count: PlaceCount;
  #isTaken = false;
  #wasLent = false;

  constructor(places: Places, count: PlaceCount) {
    this.#places = places;
    this.#count = count;
  }

  /** Whether time has passed for others in it. */
  get wasLent(): boolean {
    return this.#wasLent;
  }

  /** @throws what `full` says. */
  async take(): Promise<void> {
    await this.#places.take(this.#count);
    this.#isTaken = true;
  }

  leave(): void {
    if (this.#isTaken) this.#places.leave();
    this.#isTaken = false;
  }

  /**
   * Waits for `answer` without the place, then for a place.
   *
   * @throws what `answer` rejects with; what `full` says where none is free within a second. Then it has none.
   */
  async lendUntil<T>(answer: Promise<T>): Promise<T> {
    this.#wasLent = true;
    this.leave();
    const value = await answer;
    await this.#places.takeAgain(this.#count);
    this.#isTaken = true;
    return value;
  }
}
