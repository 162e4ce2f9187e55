// The pieces of a body: as few as its bytes need, however small they come.

/** A Buffer takes up a few hundred bytes beside its own: smaller pieces are copied together. */
const SMALL_BYTES = 4_096;
const TAIL_BYTES = 16_384;

export class Pieces {
  /** How many there were. */
  count = 0;
  readonly #whole: Buffer[] = [];
  #tail: Buffer | undefined;
  #tailBytes = 0;

  add(piece: Buffer): void {
    this.count += 1;
    if (this.count === 1 || piece.length >= SMALL_BYTES) {
      this.#endTail();
      this.#whole.push(piece);
      return;
    }
    if (this.#tailBytes + piece.length > TAIL_BYTES) this.#endTail();
    this.#tail ??= Buffer.allocUnsafeSlow(TAIL_BYTES);
    this.#tail.set(piece, this.#tailBytes);
    this.#tailBytes += piece.length;
  }

  /** All of them, in their order. */
  joined(): Buffer {
    this.#endTail();
    const [first, ...others] = this.#whole;
    return first !== undefined && others.length === 0 ? first : Buffer.concat(this.#whole);
  }

  #endTail(): void {
    if (this.#tail === undefined || this.#tailBytes === 0) return;
    this.#whole.push(Buffer.from(this.#tail.subarray(0, this.#tailBytes)));
    this.#tailBytes = 0;
  }
}
