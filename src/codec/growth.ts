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
    const grownBytes = Math.max(0, keptBytes(inside) - (payload.data?.length ?? 0));
    if (grownBytes > this.#leftBytes)
      throw new KeyholeError(
        'payload_invalid',
        `the payloads that came together are larger by more than ${MAX_GROWTH_BYTES} bytes once decompressed`,
      );
    this.#leftBytes -= grownBytes;
    return inside;
  }
}

/**
 * How much memory it keeps: data and metadata are views of what was opened, which stays there as a whole with all that
 * was skipped, and with nothing else (`own-memory.ts`).
 */
function keptBytes({ data, metadata }: Payload): number {
  let bytes = data?.buffer.byteLength ?? 0;
  for (const value of Object.values(metadata ?? {})) bytes = Math.max(bytes, value.buffer.byteLength);
  return bytes;
}
