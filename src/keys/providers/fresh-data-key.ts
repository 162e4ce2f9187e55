// A data key of our own making, for key services that only wrap what they are given.
import { randomBytes } from 'node:crypto';
import { DATA_KEY_BYTES } from '../data-key.js';
import type { GeneratedDataKey } from '../wrapping-key.js';

/** A new data key as `wrap` wrapped it; if that fails, the key is zeroed and the failure thrown. */
export async function freshDataKey(
  wrap: (plaintext: Uint8Array) => Promise<Omit<GeneratedDataKey, 'plaintext'>>,
): Promise<GeneratedDataKey> {
  const plaintext = randomBytes(DATA_KEY_BYTES);
  try {
    return { ...(await wrap(plaintext)), plaintext };
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
}
