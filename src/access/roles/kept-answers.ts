// Answers by name: when they become too many, one is forgotten that holds nothing, else the least lately asked.
import type { CachedAnswer } from './cached-answer.js';

export class KeptAnswers<T> {
  readonly #most: number;
  readonly #make: (name: string) => CachedAnswer<T>;
  readonly #byName = new Map<string, CachedAnswer<T>>();

  /** @param most - how many are kept. */
  constructor(most: number, make: (name: string) => CachedAnswer<T>) {
    this.#most = most;
    this.#make = make;
  }

  /** The answer of this name. One that was forgotten still serves those who wait for it. */
  of(name: string): CachedAnswer<T> {
    const answer = this.#byName.get(name) ?? this.#make(name);
    this.#byName.delete(name);
    this.#byName.set(name, answer);
    if (this.#byName.size > this.#most) this.#forgetOneBut(name);
    return answer;
  }

  /** Whoever names much that there is not, or has to wait for all of it, does not push out what others use. */
  #forgetOneBut(asked: string): void {
    const [oldest] = this.#byName.keys();
    let forgotten = oldest;
    for (const [name, answer] of this.#byName) {
      if (name === asked || !answer.isEmpty) continue;
      forgotten = name;
      break;
    }
    if (forgotten !== undefined) this.#byName.delete(forgotten);
  }

  clear(): void {
    this.#byName.clear();
  }

  close(): void {
    for (const answer of this.#byName.values()) answer.close();
    this.clear();
  }
}
