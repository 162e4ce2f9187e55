// Requests that keep a place while they wait for others: for who asks, for roles, for keys, for their rate.
import type { Limits } from '../limits.js';
import { EndOfTurn } from './end-of-turn.js';
import { isThereWithin } from './is-there-within.js';
import { overloaded } from './overloaded.js';

/** On whose behalf a request waits. */
export interface Waiter {
  /** Requests of one name count together. */
  readonly name: string;
  /** What those are refused with that are too many of one name. */
  readonly exceeded: () => Error;
  /** Names of what is loaded for it, if that is not there: of all that wait in one name together a dozen at most. */
  readonly wanted?: readonly string[] | undefined;
}

/**
 * How long what is too much may wait, as a burst of one caller may that needs one answer: a little longer than somebody
 * waits who is then served with an older one.
 */
const MAX_EXCESS_MS = 1_200;
/** For how long after a refusal it may not. */
const STRICT_MS = 60_000;

/**
 * Loaded at once in one name. Each may take a question to an API that answers ten a second: whoever has many loaded in
 * vain would keep others from what they need once.
 */
export const MAX_WANTED = 12;

/** What is not there yet at the end of a turn of the event loop. */
const NOT_YET = Symbol('not yet');

/**
 * Of the places, requests of one name that wait for others keep at most half, and all that wait three quarters: whose
 * answer is at hand finds one. Where only the latter is exceeded, a name keeps its first few all the same (of 256 places
 * 8): it need not answer for what others keep. What is beyond that is refused after 1.2 s; after such a refusal at once,
 * until there was none for a minute.
 */
export class Waits {
  #all = 0;
  readonly #named = new Map<string, number>();
  /** By name of the waiter and of what is wanted: how many want it, at hand or not. */
  readonly #wanted = new Map<string, Map<string, number>>();
  readonly #turn = new EndOfTurn<typeof NOT_YET>(NOT_YET);
  #strict: NodeJS.Timeout | undefined;

  /**
   * What `work` answers; the request waits only if that is not there within this turn of the event loop. Work goes on for
   * one that is refused.
   *
   * @param inTime - what becomes of an answer that is waited for: a deadline.
   * @throws KeyholeError `overloaded`; what `waiter` says; what `work` and `inTime` throw.
   */
  async during<T>(
    waiter: Waiter,
    limits: Limits,
    work: () => Promise<T>,
    inTime: (answer: Promise<T>) => Promise<T>,
  ): Promise<T> {
    this.#want(waiter, 1);
    try {
      const answer = work();
      const soon = await Promise.race([answer, this.#turn.reached()]);
      return soon === NOT_YET ? await this.until(inTime(answer), waiter, limits) : soon;
    } finally {
      this.#want(waiter, -1);
    }
  }

  /** How many wait. */
  get count(): number {
    return this.#all;
  }

  /** Whether one more may wait for as long as it takes. */
  hasRoom(waiter: Waiter, limits: Limits): boolean {
    return this.#excess(waiter, limits, 1) === undefined;
  }

  /** What whoever has to wait would be refused with at once, so that work for them need not begin. */
  refusal(waiter: Waiter, limits: Limits): Error | undefined {
    if (this.#wantsTooMuch(waiter)) return waiter.exceeded();
    if (this.#strict === undefined) return undefined;
    const refusal = this.#excess(waiter, limits, 1);
    return refusal && this.#strictly(refusal);
  }

  /** What is waited for in any case. @throws KeyholeError `overloaded`; what `waiter` says; what `answer` rejects with. */
  async until<T>(answer: Promise<T>, waiter: Waiter, limits: Limits): Promise<T> {
    this.#count(waiter, 1);
    try {
      if (this.#excess(waiter, limits) !== undefined) {
        const isThere = this.#strict === undefined && (await isThereWithin(MAX_EXCESS_MS, answer));
        const refusal = isThere ? undefined : this.#excess(waiter, limits);
        if (refusal !== undefined) {
          answer.catch(() => undefined); // nobody waits for it any more
          throw this.#strictly(refusal);
        }
      }
      return await answer;
    } finally {
      this.#count(waiter, -1);
    }
  }

  #excess({ name, exceeded }: Waiter, { concurrency }: Limits, coming = 0): Error | undefined {
    const named = (this.#named.get(name) ?? 0) + coming;
    if (named > Math.ceil(concurrency / 2)) return exceeded();
    if (named <= Math.ceil(concurrency / 32)) return undefined;
    return this.#all + coming > Math.ceil((concurrency * 3) / 4) ? overloaded() : undefined;
  }

  #wantsTooMuch(waiter: Waiter): boolean {
    if (waiter.wanted === undefined) return false;
    const { name, wanted } = waiter;
    const known = this.#wanted.get(name);
    if (known === undefined) return false;
    const more = wanted.filter((one) => !known.has(one)).length;
    return more > 0 && known.size + more > MAX_WANTED;
  }

  #count({ name }: Waiter, by: number): void {
    this.#all += by;
    add(this.#named, name, by);
  }

  /** From before it is asked for: many may come in one turn. */
  #want(waiter: Waiter, by: number): void {
    if (waiter.wanted === undefined) return;
    const { name, wanted } = waiter;
    const counts = this.#wanted.get(name) ?? new Map<string, number>();
    for (const one of wanted) add(counts, one, by);
    if (counts.size === 0) this.#wanted.delete(name);
    else this.#wanted.set(name, counts);
  }

  #strictly(refusal: Error): Error {
    this.#strict ??= setTimeout(() => {
      this.#strict = undefined;
    }, STRICT_MS).unref();
    this.#strict.refresh();
    return refusal;
  }
}

function add(counts: Map<string, number>, name: string, by: number): void {
  const count = (counts.get(name) ?? 0) + by;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}
