// The `encryption-jwt` format of Temporal's Python sample: read, and written on request.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../../errors.js';
import { base64Of, BINARY_ENCRYPTED, type Metadata, type SealedMark } from '../metadata.js';
import { open } from '../seal.js';
import type { FormatReader } from './reader.js';

/** Its one mark: the `GenerateDataKey` blob in ASCII, standard base64. */
const DATA_KEY_ENCRYPTED = 'data_key_encrypted';

const ENCODING_VALUE = Buffer.from(BINARY_ENCRYPTED);

/** The data key is the AES key itself, there is no associated data, and nothing binds a namespace. */
export const encryptionJwt: FormatReader = {
  format: 'encryption-jwt',
  keys: [DATA_KEY_ENCRYPTED],
  claims: (metadata) => metadata[DATA_KEY_ENCRYPTED] !== undefined,
  read,
  open: (key, data) => open(key, data, undefined),
};

export function writeEncryptionJwt(wrapped: Uint8Array, data: Uint8Array): Payload {
  const blob = Buffer.from(wrapped).toString('base64');
  return { metadata: { encoding: ENCODING_VALUE, [DATA_KEY_ENCRYPTED]: Buffer.from(blob) }, data };
}

function read(metadata: Metadata): SealedMark {
  const wrappedKey = base64Of(metadata[DATA_KEY_ENCRYPTED]);
  if (wrappedKey === undefined) {
    throw new KeyholeError('payload_invalid', `an encryption-jwt payload has no valid ${DATA_KEY_ENCRYPTED}`);
  }
  return {
    kind: 'sealed',
    format: 'encryption-jwt',
    namespace: null,
    keyId: null,
    wrappedKey,
    commitment: null,
  };
}
