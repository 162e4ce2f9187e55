// AES-256-GCM over one payload, and what the ciphertext is bound to.
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { KeyholeError } from '../errors.js';
import { NONCE_BYTES, type Nonces } from './nonces.js';

/** NIST SP 800-38D §5.2.1.2: the full tag of 128 bits. */
export const TAG_BYTES = 16;

const ALGORITHM = 'aes-256-gcm';
const OPTIONS = { authTagLength: TAG_BYTES };

/** @throws KeyholeError `payload_invalid` for what is too short to hold a nonce and a tag. */
export function assertSealedLength(data: Uint8Array): void {
  if (data.length >= NONCE_BYTES + TAG_BYTES) return;
  throw new KeyholeError('payload_invalid', `a sealed payload has at least ${NONCE_BYTES + TAG_BYTES} bytes`);
}

/**
 * nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes).
 *
 * @param plaintext - in parts, one behind the other.
 */
export function seal(
  key: KeyObject,
  plaintext: readonly Uint8Array[],
  associatedData: Uint8Array | undefined,
  nonces: Nonces,
): Uint8Array {
  const sealed = Buffer.allocUnsafe(NONCE_BYTES + bytesIn(plaintext) + TAG_BYTES);
  const nonce = sealed.subarray(0, NONCE_BYTES);
  nonces.fill(nonce);
  const cipher = createCipheriv(ALGORITHM, key, nonce, OPTIONS);
  if (associatedData !== undefined) cipher.setAAD(associatedData);
  let at = NONCE_BYTES;
  for (const part of plaintext) {
    sealed.set(cipher.update(part), at);
    at += part.length;
  }
  cipher.final(); // GCM is a stream: nothing is left over
  sealed.set(cipher.getAuthTag(), at);
  return sealed;
}

export function bytesIn(parts: readonly Uint8Array[]): number {
  return parts.reduce((bytes, part) => bytes + part.length, 0);
}

/**
 * The plaintext, once the tag has been verified.
 *
 * @throws KeyholeError `payload_invalid` (too short), `not_opened` (another key, or changed).
 */
export function open(key: KeyObject, data: Uint8Array, associatedData: Uint8Array | undefined): Uint8Array {
  assertSealedLength(data);
  const decipher = createDecipheriv(ALGORITHM, key, data.subarray(0, NONCE_BYTES), OPTIONS);
  if (associatedData !== undefined) decipher.setAAD(associatedData);
  decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
  const plaintext = decipher.update(data.subarray(NONCE_BYTES, data.length - TAG_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw new KeyholeError('not_opened', 'the payload does not open under its data key: it was changed', {
      cause,
    });
  }
  return plaintext;
}
