// A request whose body comes in few pieces, however small the chunks it is sent in.
import { IncomingMessage } from 'node:http';

/** A Buffer takes up a few hundred bytes beside its own: smaller pieces are put together, in at most twice their bytes. */
const SMALL_BYTES = 4_096;
const TAIL_BYTES = 16_384;

/**
 * Node cuts what it reads from a socket into as many Buffers as there are chunks in it, before anybody asks for the body.
 * Small ones wait here for the next ones, or for the end.
 */
export class CompactMessage extends IncomingMessage {
  /** How many the body came in. */
  pieces = 0;
  #bytes = 0;
  /** A small piece that came alone, or several copied together. */
  #tail: Buffer | undefined;
  #tailBytes = 0;

  /** Whether there were far more than the body needs: so many of any size, and beyond them one for so many bytes. */
  get isCrumbled(): boolean {
    return this.pieces > 1_000 + this.#bytes / 64;
  }

  override push(piece: Buffer | null): boolean {
    if (piece === null) {
      this.#pushTail();
      return super.push(null);
    }
    this.pieces += 1;
    this.#bytes += piece.length;
    if (piece.length < SMALL_BYTES) return this.#keep(piece);
    this.#pushTail();
    return super.push(piece);
  }

  #keep(piece: Buffer): boolean {
    if (this.#tail === undefined) {
      this.#tail = piece;
      this.#tailBytes = piece.length;
      return true;
    }
    if (this.#tailBytes + piece.length > TAIL_BYTES) {
      const isWanted = this.#pushTail();
      return this.#keep(piece) && isWanted;
    }
    const bytes = this.#tailBytes + piece.length;
    if (this.#tail.length < bytes) {
      const before = this.#tail;
      this.#tail = Buffer.allocUnsafeSlow(Math.min(TAIL_BYTES, 2 * bytes));
      this.#tail.set(before);
    }
    this.#tail.set(piece, this.#tailBytes);
    this.#tailBytes = bytes;
    return true;
  }

  #pushTail(): boolean {
    const tail = this.#tail;
    if (tail === undefined) return true;
    this.#tail = undefined;
    return super.push(tail.subarray(0, this.#tailBytes));
  }
}
