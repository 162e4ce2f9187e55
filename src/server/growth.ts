// How much the payloads of one request may grow by decompression, all together.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../errors.js';
import { MAX_GROWTH_BYTES } from './limits.js';

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
        `the payloads of one request are larger by more than ${MAX_GROWTH_BYTES} bytes once decompressed`,
      );
    this.#leftBytes -= grownBytes;
    return inside;
  }
}

function bytesOf({ data }: Payload): number {
  return data?.length ?? 0;
}
