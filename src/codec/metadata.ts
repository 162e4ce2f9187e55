// What all formats share of a payload's metadata: the encoding's name, the mark, plain text.

export interface SealedMark {
  readonly kind: 'sealed';
  readonly format: 'keyhole/v1' | 'encryption-jwt';
  /** The namespace the payload is bound to, or `null` where the format binds none. */
  readonly namespace: string | null;
  /** The wrapping key's id as recorded, or `null` where the format records none. */
  readonly keyId: string | null;
  readonly wrappedKey: Uint8Array;
  readonly commitment: Uint8Array | null;
}

export type Metadata = Record<string, Uint8Array>;

/** The encoding that every official sample, the CLI's output and we give to encrypted payloads. */
export const BINARY_ENCRYPTED = 'binary/encrypted';

/** Metadata as text, or `undefined` if it is absent or not printable ASCII. */
export function textOf(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  for (const byte of value) if (byte < 0x20 || byte > 0x7e) return undefined;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
}
