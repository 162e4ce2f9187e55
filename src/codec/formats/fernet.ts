// Fernet tokens, as Python's `cryptography` makes them: recognised, matched to their key, opened.
import { createDecipheriv, createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { KeyholeError } from '../../errors.js';
import type { SealedMark } from '../metadata.js';
import { ownMemory } from '../own-memory.js';
import type { FormatReader } from './reader.js';

// The Fernet specification: 0x80 ‖ timestamp (8) ‖ IV (16) ‖ AES-128-CBC with PKCS #7 padding ‖ HMAC-SHA-256 (32) over
// all before it; the whole in base64url with padding. A key is 32 bytes: 16 that sign, 16 that encrypt.
const VERSION = 0x80;
const IV_AT = 9;
const CIPHERTEXT_AT = 25;
const BLOCK_BYTES = 16;
const HMAC_BYTES = 32;
const SIGNING_BYTES = 16;
/** The version and the first bytes of every timestamp before the year 10,000, in base64url. */
const PREFIX = Buffer.from('gAAAAA');

/** All that a token's metadata says. */
const MARK: SealedMark = {
  kind: 'sealed',
  format: 'fernet',
  namespace: null,
  keyId: null,
  wrappedKey: new Uint8Array(0),
  commitment: null,
};

/** Binds no namespace and names no key. Its timestamp is not judged: histories outlive every TTL. */
export const fernet: FormatReader = {
  format: 'fernet',
  keys: [],
  claims: (metadata, data) =>
    Object.keys(metadata).length === 1 && PREFIX.equals(data.subarray(0, PREFIX.length)),
  read: () => MARK,
  open: openFernet,
};

/**
 * Whether a key signed a token: what finds the key among several, since a token names none.
 *
 * @throws KeyholeError `payload_invalid` for what is no token.
 */
export function isSignedBy(key: KeyObject, data: Uint8Array): boolean {
  const token = tokenOf(data);
  const signature = createHmac('sha256', key.export().subarray(0, SIGNING_BYTES))
    .update(token.subarray(0, -HMAC_BYTES))
    .digest();
  return timingSafeEqual(signature, token.subarray(-HMAC_BYTES));
}

function openFernet(key: KeyObject, data: Uint8Array): Uint8Array {
  if (!isSignedBy(key, data)) {
    throw new KeyholeError('not_opened', 'the fernet token was changed, or made with another key');
  }
  const token = tokenOf(data);
  const iv = token.subarray(IV_AT, CIPHERTEXT_AT);
  const decipher = createDecipheriv('aes-128-cbc', key.export().subarray(SIGNING_BYTES), iv);
  const first = decipher.update(token.subarray(CIPHERTEXT_AT, -HMAC_BYTES));
  return ownMemory(Buffer.concat([first, decipher.final()]));
}

function tokenOf(data: Uint8Array): Buffer {
  const text = Buffer.from(data).toString('latin1');
  const token = Buffer.from(text, 'base64url');
  const ciphertextBytes = token.length - CIPHERTEXT_AT - HMAC_BYTES;
  const padded = token.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
  if (padded === text && token[0] === VERSION && ciphertextBytes > 0 && ciphertextBytes % BLOCK_BYTES === 0) {
    return token;
  }
  throw new KeyholeError('payload_invalid', 'a fernet payload is not a token');
}
