// Turns of the event loop that are short while connections come.

/** Requests whose work begins in one short turn. */
const PER_TURN = 2;

/**
 * Node accepts one connection in each turn of its event loop (libuv). Where a turn answers all requests that have come,
 * whoever connects waits as many turns as others connected before: 400 at once for seconds.
 */
export class ShortTurns {
  readonly #waiting: (() => void)[] = [];
  /** A connection came since the last turn ended: others may stand behind it. */
  #isShort = false;
  #begun = 0;
  #isCounted = false;

  /** To be told of each connection. */
  connected(): void {
    this.#isShort = true;
    if (!this.#isCounted) setImmediate(this.#end);
    this.#isCounted = true;
  }

  /** Resolves when work may begin: at once unless this turn is short and has had its share; first come, first served. */
  async mayBegin(): Promise<void> {
    if (!this.#isShort && this.#waiting.length === 0) return;
    if (this.#begun < PER_TURN) this.#begun += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  readonly #end = (): void => {
    const next = this.#waiting.splice(0, this.#isShort ? PER_TURN : Infinity);
    this.#begun = next.length;
    if (this.#isShort) setImmediate(this.#end);
    this.#isCounted = this.#isShort;
    this.#isShort = false;
    for (const begin of next) begin();
  };
}
