// A data key, and what is derived from it: the key that seals and the commitment that names it.
import { createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto';
import { KeyholeError } from '../errors.js';

/** Bytes of a data key, of the sealing key and of the commitment. */
export const DATA_KEY_BYTES = 32;

/** Whether a value could be a data key, or another key of AES-256. */
export function isDataKey(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === DATA_KEY_BYTES;
}

const LABEL = Buffer.from('temporal-keyhole keyhole/v1');

export interface DerivedKey {
  readonly sealingKey: KeyObject;
  /** 32 bytes that name this key; `undefined` where the format has none. */
  readonly commitment: Uint8Array | undefined;
}

/**
 * HKDF-SHA-512 (RFC 5869) over the data key, without salt; `info` is the label ‖ length of the namespace (two bytes,
 * big-endian) ‖ namespace ‖ length of the key id (two bytes, big-endian) ‖ key id. 64 bytes: the sealing key, then
 * the commitment. A data key is thus useless in another namespace or under another key's name.
 */
export function deriveBoundKey(dataKey: Uint8Array, namespace: string, keyId: string): DerivedKey {
  const info = Buffer.concat([LABEL, lengthPrefixed(namespace), lengthPrefixed(keyId)]);
  const derived = hkdf(dataKey, info, 2 * DATA_KEY_BYTES);
  const sealingKey = createSecretKey(derived.subarray(0, DATA_KEY_BYTES));
  const commitment = new Uint8Array(derived.subarray(DATA_KEY_BYTES));
  derived.fill(0);
  return { sealingKey, commitment };
}

/** HKDF-SHA-512 (RFC 5869) without salt. */
export function hkdf(inputKey: Uint8Array, info: Uint8Array, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha512', inputKey, new Uint8Array(0), info, bytes));
}

/** The data key itself, for the formats that derive nothing (`encryption-jwt`). */
export function bareKey(dataKey: Uint8Array): DerivedKey {
  return { sealingKey: createSecretKey(dataKey), commitment: undefined };
}

/** Compares a payload's commitment with the key's before anything is decrypted. */
export function assertCommitment(key: DerivedKey, commitment: Uint8Array | null, keyName: string): void {
  if (key.commitment === undefined && commitment === null) return;
  if (
    key.commitment?.length === commitment?.length &&
    timingSafeEqual(key.commitment ?? EMPTY, commitment ?? EMPTY)
  )
    return;
  throw new KeyholeError(
    'not_opened',
    `the payload's key commitment does not match its data key under ${keyName}`,
  );
}

const EMPTY = new Uint8Array(0);

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
