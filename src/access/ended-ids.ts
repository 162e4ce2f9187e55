// What ended early, by its id, until it would have ended anyway.
import type { Clock } from './clock.js';

const MAX_ENDED = 10_000;

export class EndedIds {
  readonly #clock: Clock;
  /** When each would have ended anyway, in milliseconds since the epoch. */
  readonly #ids = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** @param forMs - how long it could have gone on at most. */
  add(id: string, forMs: number): void {
    const nowMs = this.#clock.wall();
    for (const [other, untilMs] of this.#ids) {
      if (untilMs > nowMs && this.#ids.size < MAX_ENDED) break;
      this.#ids.delete(other);
    }
    this.#ids.set(id, nowMs + forMs);
  }
}
