// Connections that share room, and the one among them that gives way where there is none.

/**
 * Without a request; one waits for its answer; an answer waits to be taken, by a stranger or by somebody known. Who came
 * to a line first stands in front.
 */
export type Line = 'idle' | 'working' | 'leaving' | 'leaving-known';

/**
 * Of those without a request and those whose answer is not taken, whichever are more, the one gives way that has been so
 * longest; somebody known only where no line of strangers is as long as their own. So neither who asks nothing nor who
 * takes nothing keeps others out, or costs one of the other kind its place.
 */
export class Crowd<T> {
  readonly #lines: Readonly<Record<Line, Set<T>>> = {
    idle: new Set(),
    working: new Set(),
    leaving: new Set(),
    'leaving-known': new Set(),
  };
  /** Where each of them stands. */
  readonly #lineOf = new Map<T, Line>();

  get size(): number {
    return this.#lineOf.size;
  }

  get idle(): ReadonlySet<T> {
    return this.#lines.idle;
  }

  /** To the end of a line, wherever it stood. */
  put(member: T, line: Line): void {
    const before = this.#lineOf.get(member);
    if (before !== undefined) this.#lines[before].delete(member);
    this.#lines[line].add(member);
    this.#lineOf.set(member, line);
  }

  delete(member: T): void {
    const line = this.#lineOf.get(member);
    if (line === undefined) return;
    this.#lines[line].delete(member);
    this.#lineOf.delete(member);
  }

  /** To a newcomer, who stands among the idle: where all others wait for us, the newcomer itself. */
  givingWay(): T | undefined {
    const { idle, leaving, 'leaving-known': known } = this.#lines;
    const [first] = [leaving, known].find(({ size }) => size >= idle.size) ?? idle;
    return first;
  }
}
