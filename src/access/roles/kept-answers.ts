// Answers by name: when they become too many, one is forgotten that holds nothing, else the least lately asked.
import type { CachedAnswer } from './cached-answer.js';

export class KeptAnswers<T> {
  readonly #most: number;
  readonly #make: (name: string) => CachedAnswer<T>;
  readonly #byName = new Map<string, CachedAnswer<T>>();
  /** Names of those for which nothing was loaded yet; as all here, the least lately asked first. */
  readonly #blank = new Set<string>();
  /** Names of those that were loaded without rows, as what there is not is. */
  readonly #rowless = new Set<string>();

  /** @param most - how many are kept. */
  constructor(most: number, make: (name: string) => CachedAnswer<T>) {
    this.#most = most;
    this.#make = make;
  }

  /** The answer of this name. One that was forgotten still serves those who wait for it. */
  of(name: string): CachedAnswer<T> {
    const answer = this.#byName.get(name) ?? this.#made(name);
    this.#byName.delete(name);
    this.#byName.set(name, answer);
    this.#sort(name, answer);
    if (this.#byName.size > this.#most) this.#forgetOneBut(name);
    return answer;
  }

  #made(name: string): CachedAnswer<T> {
    const answer = this.#make(name);
    answer.whenKept(() => {
      if (this.#byName.get(name) === answer) this.#sort(name, answer);
    });
    return answer;
  }

  #sort(name: string, { holds }: CachedAnswer<T>): void {
    this.#blank.delete(name);
    this.#rowless.delete(name);
    if (holds === 'nothing') this.#blank.add(name);
    if (holds === 'no rows') this.#rowless.add(name);
  }

  /**
   * Whoever names much that there is not, or has to wait for all of it, does not push out what others use. That there are
   * no rows may be what others use, so what is not loaded goes first.
   */
  #forgetOneBut(asked: string): void {
    for (const names of [this.#blank, this.#rowless, this.#byName.keys()]) {
      const [first, second] = names;
      const name = first === asked ? second : first;
      if (name === undefined) continue;
      this.#forget(name);
      return;
    }
  }

  #forget(name: string): void {
    this.#byName.delete(name);
    this.#blank.delete(name);
    this.#rowless.delete(name);
  }

  close(): void {
    for (const answer of this.#byName.values()) answer.close();
    for (const names of [this.#byName, this.#blank, this.#rowless]) names.clear();
  }
}
