// Which format a payload's metadata claims, found without trial decryption.
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../errors.js';
import { FORMAT_KEY, keyholeV1 } from './envelope.js';
import { encryptionJwt } from './formats/encryption-jwt.js';
import { fernet } from './formats/fernet.js';
import type { FormatReader } from './formats/reader.js';
import { staticKey } from './formats/static-key.js';
import { temporalProxy } from './formats/temporal-proxy.js';
import { BINARY_ENCRYPTED, textOf, type Metadata, type SealedFormat, type SealedMark } from './metadata.js';

export type { SealedMark } from './metadata.js';

export type Mark = { readonly kind: 'none' } | { readonly kind: 'storage-reference' } | SealedMark;

const NONE: Mark = { kind: 'none' };
const STORAGE_REFERENCE: Mark = { kind: 'storage-reference' };
const EMPTY = new Uint8Array(0);

/** In the order in which they are asked; each takes what the ones before it left. */
const READERS = [keyholeV1, temporalProxy, encryptionJwt, staticKey, fernet].map((reader, _, all) => ({
  ...reader,
  strangers: all.flatMap(({ keys }) => keys).filter((key) => !reader.keys.includes(key)),
}));

/**
 * Reads a payload's mark. `binary/encrypted` always claims a format; so does `encryption-format`.
 *
 * @throws KeyholeError `payload_invalid` (it claims a format and does not keep to it, or claims two),
 * `format_not_enabled` (a format that no reader here knows).
 */
export function readMark({ metadata, data }: Payload): Mark {
  if (metadata === null || metadata === undefined) return NONE;
  const encoding = textOf(metadata['encoding']);
  if (encoding !== BINARY_ENCRYPTED) {
    if (metadata[FORMAT_KEY] !== undefined)
      throw new KeyholeError('payload_invalid', 'an encryption-format is not binary/encrypted');
    return isStorageReference(encoding, metadata) ? STORAGE_REFERENCE : NONE;
  }
  const reader = READERS.find((candidate) => candidate.claims(metadata, data ?? EMPTY));
  if (reader === undefined) {
    throw new KeyholeError('format_not_enabled', 'an encrypted payload in a format that is not known here');
  }
  const mark = reader.read(metadata);
  const stranger = reader.strangers.find((key) => metadata[key] !== undefined);
  if (stranger === undefined) return mark;
  throw new KeyholeError(
    'payload_invalid',
    `a ${reader.format} payload has the mark of another format beside it: ${stranger}`,
  );
}

const BY_FORMAT: ReadonlyMap<SealedFormat, FormatReader> = new Map(
  READERS.map((reader) => [reader.format, reader]),
);

/** The reader of a format. */
export function readerOf(format: SealedFormat): FormatReader {
  const reader = BY_FORMAT.get(format);
  if (reader === undefined) throw new TypeError(`no reader for ${format}`);
  return reader;
}

function isStorageReference(encoding: string | undefined, metadata: Metadata): boolean {
  return (
    encoding === 'json/protobuf' &&
    textOf(metadata['messageType']) === 'temporal.api.sdk.v1.ExternalStorageReference'
  );
}
