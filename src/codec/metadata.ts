// What all formats share of a payload's metadata: the encoding's name, the mark, plain text.
import type { ForeignFormat } from '../keys/foreign-reads.js';

/** What can be sealed, not only compressed. */
export type SealedFormat = 'keyhole/v1' | Exclude<ForeignFormat, 'compression'>;

export interface SealedMark {
  readonly kind: 'sealed';
  readonly format: SealedFormat;
  /** The namespace the payload is bound to, or `null` where the format binds none. */
  readonly namespace: string | null;
  /** The wrapping key's id as recorded, or `null` where the format records none. */
  readonly keyId: string | null;
  /** Empty where the configured key seals by itself. */
  readonly wrappedKey: Uint8Array;
  readonly commitment: Uint8Array | null;
}

export type Metadata = Record<string, Uint8Array>;

/** The encoding that every official sample, the CLI's output and we give to encrypted payloads. */
export const BINARY_ENCRYPTED = 'binary/encrypted';

/** Where most formats record the key's id. */
export const KEY_ID = 'encryption-key-id';
export const MAX_KEY_ID_BYTES = 512;
export const MAX_WRAPPED_BYTES = 8192;

/** Metadata as text, or `undefined` if it is absent or not printable ASCII. */
export function textOf(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  for (const byte of value) if (byte < 0x20 || byte > 0x7e) return undefined;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
}

/** A wrapped data key that stands in metadata as standard base64, or `undefined` if it is none. */
export function base64Of(value: Uint8Array | undefined): Uint8Array | undefined {
  const text = textOf(value);
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, 'base64');
  const canonical = bytes.toString('base64') === text;
  return canonical && bytes.length >= 1 && bytes.length <= MAX_WRAPPED_BYTES ? bytes : undefined;
}
