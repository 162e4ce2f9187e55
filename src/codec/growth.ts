// How much payloads that come together may grow by decompression: all of one request, or of one call.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../errors.js';

/** Each alone may by `formats/compression.ts`. */
const MAX_GROWTH_BYTES = 64 * 2 ** 20;

export class Growth {
  #leftBytes = MAX_GROWTH_BYTES;

  /**
   * Answers what came out of a payload, while there is room for it; else it is let go at once.
   *
   * @throws KeyholeError `payload_invalid`
   */
  taken(payload: Payload, inside: Payload): Payload {
    const grownBytes = Math.max(0, bytesOf(inside) - bytesOf(payload));
    if (grownBytes > this.#leftBytes)
      throw new KeyholeError(
        'payload_invalid',
        `the payloads that came together are larger by more than ${MAX_GROWTH_BYTES} bytes once decompressed`,
      );
    this.#leftBytes -= grownBytes;
    return inside;
  }
}

function bytesOf({ data }: Payload): number {
  return data?.length ?? 0;
}
