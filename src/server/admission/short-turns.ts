// When work begins: at the end of its turn of the event loop, or a little at a time while connections come.
import { EndOfTurn } from './end-of-turn.js';

/** Requests whose work begins in one short turn. */
const PER_TURN = 2;

/**
 * Node accepts one connection in each turn of its event loop (libuv). Where a turn answers all requests that have come,
 * whoever connects waits as many turns as others connected before: 400 at once for seconds.
 */
export class ShortTurns {
  readonly #turn = new EndOfTurn<void>(undefined);
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

  /**
   * Resolves when work may begin: at the end of this turn, when the body is there that came with the headers, and much is
   * done together that came together; where turns are short, once one has room; first come, first served.
   */
  async mayBegin(): Promise<void> {
    if (!this.#isShort && this.#waiting.length === 0) await this.#turn.reached();
    else if (this.#begun < PER_TURN) this.#begun += 1;
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
