// How many requests a second go out: a bucket that refills while time passes.
import type { Clock } from '../../clock.js';

export interface RequestBudgetOptions {
  readonly perSecond: number;
  readonly burst: number;
  readonly clock: Clock;
  /** Resolves after so many milliseconds. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** For a list that is in use already, or for one that was never asked for. */
export type Lane = 'in-use' | 'new';

/** Of ten requests while there are too few, so many go to lists in use. */
const IN_USE_OF_TEN = 7;

type Waiting = () => void;

/** A turn comes whether or not its first in line still waits. */
const NEVER = new AbortController().signal;

export class RequestBudget {
  readonly #options: RequestBudgetOptions;
  readonly #waiting: Readonly<Record<Lane, Set<Waiting>>> = { 'in-use': new Set(), new: new Set() };
  #tokens: number;
  #countedMs: number;
  #turn = 0;
  #pumping = false;

  constructor(options: RequestBudgetOptions) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#countedMs = options.clock.monotonic();
  }

  /** Takes one request, at once or when its turn comes; in one lane first come, first served. */
  async take(signal: AbortSignal, lane: Lane = 'in-use'): Promise<void> {
    signal.throwIfAborted();
    this.#refill();
    if (!this.#pumping && this.#tokens >= 1) {
      this.#tokens -= 1;
      return;
    }
    await this.#wait(this.#waiting[lane], signal);
  }

  #wait(lane: Set<Waiting>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const admit = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        lane.delete(admit);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', giveUp);
      lane.add(admit);
      if (!this.#pumping) void this.#pump();
    });
  }

  /** Lets one through each time the bucket has a request, as long as somebody waits. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    const { perSecond, pause } = this.#options;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#tokens < 1) await pause(((1 - this.#tokens) * 1000) / perSecond, NEVER);
      this.#refill();
      this.#tokens = Math.max(this.#tokens, 1);
      this.#release();
    }
    this.#pumping = false;
  }

  /** The lane whose turn it is, or the other if nobody waits in it. */
  #next(): Set<Waiting> | undefined {
    const { 'in-use': inUse, new: fresh } = this.#waiting;
    const [first, second] = this.#turn % 10 < IN_USE_OF_TEN ? [inUse, fresh] : [fresh, inUse];
    return [first, second].find(({ size }) => size > 0);
  }

  /** Whoever waited may have given up in the meantime: then the request is kept for the next. */
  #release(): void {
    const lane = this.#next();
    const [resolve] = lane ?? [];
    if (lane === undefined || resolve === undefined) return;
    this.#tokens -= 1;
    this.#turn += 1;
    lane.delete(resolve);
    resolve();
  }

  #refill(): void {
    const { perSecond, burst, clock } = this.#options;
    const nowMs = clock.monotonic();
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#countedMs) * perSecond) / 1000);
    this.#countedMs = nowMs;
  }
}
