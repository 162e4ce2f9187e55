// The `encryption-jwt` format of Temporal's Python sample: read, and written on request.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../../errors.js';
import { BINARY_ENCRYPTED, type Metadata, type SealedMark } from '../metadata.js';

export const ENCRYPTION_JWT = 'encryption-jwt';

/** Its one mark: the `GenerateDataKey` blob in ASCII, standard base64. */
export const DATA_KEY_ENCRYPTED = 'data_key_encrypted';

const MAX_BLOB_BYTES = 8192;
const ENCODING_VALUE = Buffer.from(BINARY_ENCRYPTED);

/** The data key is the AES key itself, there is no associated data, and nothing binds a namespace. */
export function writeEncryptionJwt(wrapped: Uint8Array, data: Uint8Array): Payload {
  const blob = Buffer.from(wrapped).toString('base64');
  return { metadata: { encoding: ENCODING_VALUE, [DATA_KEY_ENCRYPTED]: Buffer.from(blob) }, data };
}

/** @throws KeyholeError `payload_invalid` */
export function readEncryptionJwt(metadata: Metadata, value: Uint8Array): SealedMark {
  const stranger = Object.keys(metadata).find((key) => key.startsWith('encryption-'));
  if (stranger !== undefined) {
    throw new KeyholeError(
      'payload_invalid',
      'an encryption-jwt payload has the mark of another format beside it',
    );
  }
  const text = Buffer.from(value).toString('latin1');
  const wrappedKey = Buffer.from(text, 'base64');
  const canonical = wrappedKey.toString('base64') === text;
  if (!canonical || wrappedKey.length < 1 || wrappedKey.length > MAX_BLOB_BYTES) {
    throw new KeyholeError('payload_invalid', `an encryption-jwt payload has no valid ${DATA_KEY_ENCRYPTED}`);
  }
  return {
    kind: 'sealed',
    format: ENCRYPTION_JWT,
    namespace: null,
    keyId: null,
    wrappedKey,
    commitment: null,
  };
}
