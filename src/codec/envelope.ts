// The keyhole/v1 envelope: what a sealed payload's metadata says, written and strictly read.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../errors.js';
import { isNamespace } from '../keys/namespace.js';
import type { FormatReader } from './formats/reader.js';
import {
  BINARY_ENCRYPTED,
  KEY_ID,
  MAX_KEY_ID_BYTES,
  MAX_WRAPPED_BYTES,
  textOf,
  type Metadata,
  type SealedMark,
} from './metadata.js';
import { open } from './seal.js';

export const KEYHOLE_V1 = 'keyhole/v1';
export const FORMAT_KEY = 'encryption-format';
const NAMESPACE = 'encryption-namespace';
const DATA_KEY = 'encryption-data-key';
const COMMITMENT = 'encryption-commitment';

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

/** Our own format, as a reader beside the foreign ones. An `encryption-format` always claims it, and alone decides. */
export const keyholeV1: FormatReader = {
  format: KEYHOLE_V1,
  keys: [FORMAT_KEY, KEY_ID, NAMESPACE, DATA_KEY, COMMITMENT],
  claims: (metadata) => metadata[FORMAT_KEY] !== undefined,
  read: readEnvelope,
  open: (key, data) => open(key, data, KEYHOLE_V1_AAD),
};

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

function readEnvelope(metadata: Metadata): SealedMark {
  if (textOf(metadata[FORMAT_KEY]) !== KEYHOLE_V1) {
    throw new KeyholeError(
      'format_not_enabled',
      'the payload names an encryption-format that is not known here',
    );
  }
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
