// Who may read in a namespace and since when: what an oracle knows, beside and independent of the server.

/** One who has, or had, a right. */
interface Held {
  readonly fromMs: number;
  /** `undefined`: still. */
  readonly untilMs: number | undefined;
}

/** Times are of this process's monotonic clock. */
export class Rights {
  readonly #held = new Map<string, Held>();

  /** To be called before anybody else can know. */
  grant(who: string, namespace: string): void {
    this.#held.set(keyOf(who, namespace), { fromMs: performance.now(), untilMs: undefined });
  }

  /** To be called once everybody else can know. */
  revoke(who: string, namespace: string): void {
    const held = this.#held.get(keyOf(who, namespace));
    if (held !== undefined) this.#held.set(keyOf(who, namespace), { ...held, untilMs: performance.now() });
  }

  has(who: string, namespace: string): boolean {
    return this.heldSomeTime(who, namespace, Infinity);
  }

  /** At one moment at least, from then to now. */
  heldSomeTime(who: string, namespace: string, sinceMs: number): boolean {
    const held = this.#held.get(keyOf(who, namespace));
    return held !== undefined && (held.untilMs ?? Infinity) >= sinceMs;
  }

  /** At every moment, from then to now. */
  heldAllTheTime(who: string, namespace: string, sinceMs: number): boolean {
    const held = this.#held.get(keyOf(who, namespace));
    return held?.untilMs === undefined && held !== undefined && held.fromMs <= sinceMs;
  }
}

function keyOf(who: string, namespace: string): string {
  return `${who} ${namespace}`;
}
