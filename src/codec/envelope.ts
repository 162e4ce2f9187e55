// The keyhole/v1 envelope: what a sealed payload's metadata says, written and strictly read.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../errors.js';
import { isNamespace } from '../keys/namespace.js';
import { DATA_KEY_ENCRYPTED } from './formats/encryption-jwt.js';
import { BINARY_ENCRYPTED, textOf, type Metadata, type SealedMark } from './metadata.js';

export const KEYHOLE_V1 = 'keyhole/v1';
export const FORMAT_KEY = 'encryption-format';
const KEY_ID = 'encryption-key-id';
const NAMESPACE = 'encryption-namespace';
const DATA_KEY = 'encryption-data-key';
const COMMITMENT = 'encryption-commitment';

/** Marks of other formats; beside ours they make a payload invalid. */
const FOREIGN_KEYS = [DATA_KEY_ENCRYPTED, 'encryption-dek', 'encryption-cipher'];

export const MAX_KEY_ID_BYTES = 512;
export const MAX_WRAPPED_BYTES = 8192;
export const COMMITMENT_BYTES = 32;

/** The associated data of each seal. */
export const KEYHOLE_V1_AAD: Uint8Array = Buffer.from(KEYHOLE_V1);

const ENCODING_VALUE = Buffer.from(BINARY_ENCRYPTED);
const FORMAT_VALUE = Buffer.from(KEYHOLE_V1);

export interface EnvelopeFields {
  readonly keyId: string;
  readonly namespace: string;
  readonly wrapped: Uint8Array;
  readonly commitment: Uint8Array;
}

/** The sealed payload around `data` (nonce ‖ ciphertext ‖ tag). */
export function writeEnvelope(fields: EnvelopeFields, data: Uint8Array): Payload {
  return {
    metadata: {
      encoding: ENCODING_VALUE,
      [FORMAT_KEY]: FORMAT_VALUE,
      [KEY_ID]: Buffer.from(fields.keyId),
      [NAMESPACE]: Buffer.from(fields.namespace),
      [DATA_KEY]: fields.wrapped,
      [COMMITMENT]: fields.commitment,
    },
    data,
  };
}

/** @throws KeyholeError `payload_invalid` with the metadata key that is wrong. */
export function readEnvelope(metadata: Metadata): SealedMark {
  const foreign = FOREIGN_KEYS.find((key) => metadata[key] !== undefined);
  if (foreign !== undefined) throw invalid(`has the mark of another format beside it: ${foreign}`);
  const keyId = metadata[KEY_ID];
  const namespace = textOf(metadata[NAMESPACE]);
  const wrappedKey = metadata[DATA_KEY];
  const commitment = metadata[COMMITMENT];
  if (namespace === undefined || !isNamespace(namespace)) throw invalid(`has no valid ${NAMESPACE}`);
  const keyIdText = sized(keyId, 1, MAX_KEY_ID_BYTES) ? textOf(keyId) : undefined;
  if (keyIdText === undefined) throw invalid(`has no valid ${KEY_ID}`);
  if (!sized(wrappedKey, 1, MAX_WRAPPED_BYTES)) throw invalid(`has no valid ${DATA_KEY}`);
  if (!sized(commitment, COMMITMENT_BYTES, COMMITMENT_BYTES)) throw invalid(`has no valid ${COMMITMENT}`);
  return { kind: 'sealed', format: KEYHOLE_V1, namespace, keyId: keyIdText, wrappedKey, commitment };
}

function sized(value: Uint8Array | undefined, least: number, most: number): value is Uint8Array {
  return value !== undefined && value.length >= least && value.length <= most;
}

function invalid(what: string): KeyholeError {
  return new KeyholeError('payload_invalid', `a keyhole/v1 payload ${what}`);
}
