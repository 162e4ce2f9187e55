// The end of this turn of the event loop, one for all that wait for it.

export class EndOfTurn<T> {
  readonly #value: T;
  #reached: Promise<T> | undefined;

  /** @param value - what each one is answered. */
  constructor(value: T) {
    this.#value = value;
  }

  /** Resolves once this turn has read what came, as far as it fits into buffers. */
  reached(): Promise<T> {
    this.#reached ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#reached = undefined;
        resolve(this.#value);
      });
    });
    return this.#reached;
  }
}
