// Answers by name, the least lately asked of which are forgotten when they become too many.
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
    const [oldest] = this.#byName.keys();
    if (this.#byName.size > this.#most && oldest !== undefined) this.#byName.delete(oldest);
    return answer;
  }

  clear(): void {
    this.#byName.clear();
  }

  close(): void {
    for (const answer of this.#byName.values()) answer.close();
    this.clear();
  }
}
