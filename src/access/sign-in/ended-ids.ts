// What ended early, by its id, until it would have ended anyway.
import type { Clock } from '../../clock.js';

const MAX_ENDED = 10_000;

export class EndedIds {
  readonly #clock: Clock;
  /** When each would have ended anyway and when it began, in milliseconds since the epoch. */
  readonly #ids = new Map<string, { readonly untilMs: number; readonly begunMs: number }>();
  /** What began no later may be one of those that were too many to be kept. */
  #forgottenMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Whether it ended, or may have: of too many that ended the earliest are forgotten, and what began no later than one
   * of these counts as ended too.
   *
   * @param begunMs - when it began, in milliseconds since the epoch. Default is after all others: being forgotten does
   * not count.
   */
  has(id: string, begunMs = Infinity): boolean {
    return this.#ids.has(id) || begunMs <= this.#forgottenMs;
  }

  /**
   * @param forMs - how long it could have gone on at most.
   * @param begunMs - as for `has`; default is before all others.
   */
  add(id: string, forMs: number, begunMs = -Infinity): void {
    const nowMs = this.#clock.wall();
    for (const [other, ended] of this.#ids) {
      if (ended.untilMs > nowMs && this.#ids.size < MAX_ENDED) break;
      this.#ids.delete(other);
      if (ended.untilMs > nowMs) this.#forgottenMs = Math.max(this.#forgottenMs, ended.begunMs);
    }
    this.#ids.set(id, { untilMs: nowMs + forMs, begunMs });
  }
}
