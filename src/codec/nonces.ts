// Random nonces, drawn from the system's generator many at a time: one call for each costs as much as sealing.
import { randomFillSync } from 'node:crypto';

/** NIST SP 800-38D §8.2.2: a random nonce of 96 bits. */
export const NONCE_BYTES = 12;

const DRAWN = 64;

/**
 * Each nonce is given out once and then overwritten here. A copy of the machine's memory repeats what was drawn before
 * it was made, as it repeats the generator's own state: what seals then must be another data key (`DataKeys.rotate`,
 * and the drift of the clocks that ends each).
 */
export class Nonces {
  readonly #draw: (bytes: Uint8Array) => unknown;
  readonly #drawn = new Uint8Array(DRAWN * NONCE_BYTES);
  #at = this.#drawn.length;

  /** @param draw - fills bytes with random ones. Default is `randomFillSync`. */
  constructor(draw: (bytes: Uint8Array) => unknown = randomFillSync) {
    this.#draw = draw;
  }

  /** Fills `nonce` (12 bytes). */
  fill(nonce: Uint8Array): void {
    if (this.#at === this.#drawn.length) {
      this.#draw(this.#drawn);
      this.#at = 0;
    }
    const end = this.#at + NONCE_BYTES;
    nonce.set(this.#drawn.subarray(this.#at, end));
    this.#drawn.fill(0, this.#at, end);
    this.#at = end;
  }
}
