// Which format a payload's metadata claims, found without trial decryption.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../errors.js';
import { FORMAT_KEY, KEYHOLE_V1, readEnvelope } from './envelope.js';
import { DATA_KEY_ENCRYPTED, readEncryptionJwt } from './formats/encryption-jwt.js';
import { BINARY_ENCRYPTED, textOf, type Metadata, type SealedMark } from './metadata.js';

export type { SealedMark } from './metadata.js';

export type Mark = { readonly kind: 'none' } | { readonly kind: 'storage-reference' } | SealedMark;

const NONE: Mark = { kind: 'none' };
const STORAGE_REFERENCE: Mark = { kind: 'storage-reference' };

/**
 * Reads a payload's mark. `binary/encrypted` always claims a format; so does `encryption-format`.
 *
 * @throws KeyholeError `payload_invalid` (it claims a format and does not keep to it, or claims two),
 * `format_not_enabled` (a format that no reader here knows).
 */
export function readMark({ metadata }: Payload): Mark {
  if (metadata === null || metadata === undefined) return NONE;
  const encoding = textOf(metadata['encoding']);
  const format = metadata[FORMAT_KEY];
  if (encoding !== BINARY_ENCRYPTED) {
    if (format !== undefined)
      throw new KeyholeError('payload_invalid', 'an encryption-format is not binary/encrypted');
    return isStorageReference(encoding, metadata) ? STORAGE_REFERENCE : NONE;
  }
  if (format === undefined) {
    const wrapped = metadata[DATA_KEY_ENCRYPTED];
    if (wrapped !== undefined) return readEncryptionJwt(metadata, wrapped);
    throw new KeyholeError(
      'format_not_enabled',
      'an encrypted payload without a format that is enabled here',
    );
  }
  if (textOf(format) === KEYHOLE_V1) return readEnvelope(metadata);
  throw new KeyholeError(
    'format_not_enabled',
    'the payload names an encryption-format that is not known here',
  );
}

function isStorageReference(encoding: string | undefined, metadata: Metadata): boolean {
  return (
    encoding === 'json/protobuf' &&
    textOf(metadata['messageType']) === 'temporal.api.sdk.v1.ExternalStorageReference'
  );
}
