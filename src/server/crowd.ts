// Connections that share room, and the one among them that gives way where there is none.

/** Without a request; one waits for its answer; an answer waits to be taken. Who came to a line first stands in front. */
export type Line = 'idle' | 'working' | 'leaving';

/**
 * Of those without a request and those whose answer is not taken, whichever are more, the one gives way that has been so
 * longest. So neither who asks nothing nor who takes nothing keeps others out, or costs one of the other kind its place.
 */
export class Crowd<T> {
  readonly #lines: Readonly<Record<Line, Set<T>>> = {
    idle: new Set(),
    working: new Set(),
    leaving: new Set(),
  };

  get size(): number {
    const { idle, working, leaving } = this.#lines;
    return idle.size + working.size + leaving.size;
  }

  get idle(): ReadonlySet<T> {
    return this.#lines.idle;
  }

  /** To the end of a line, wherever it stood. */
  put(member: T, line: Line): void {
    this.delete(member);
    this.#lines[line].add(member);
  }

  delete(member: T): void {
    for (const line of Object.values(this.#lines)) line.delete(member);
  }

  /** To a newcomer, who stands among the idle: where all others wait for us, the newcomer itself. */
  givingWay(): T | undefined {
    const { idle, leaving } = this.#lines;
    const [first] = leaving.size >= idle.size ? leaving : idle;
    return first;
  }
}
