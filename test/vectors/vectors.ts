// The golden vectors of a format, read from their file.
import { readFileSync } from 'node:fs';

export interface Vector {
  readonly name: string;
  readonly namespace: string;
  readonly keyId: string;
  readonly secret: Buffer;
  readonly plaintext: Buffer;
  /** Why it must not open, if it must not. */
  readonly refused?: string;
  readonly payload: { readonly metadata: Record<string, Uint8Array>; readonly data: Uint8Array };
}

interface StoredVector {
  readonly name: string;
  readonly namespace: string;
  readonly keyId: string;
  readonly secret: string;
  readonly plaintext: string;
  readonly refused?: string;
  readonly payload: { readonly metadata: Record<string, string>; readonly data: string };
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64');

export function readVectors(format: 'keyhole-v1' | 'encryption-jwt'): Vector[] {
  const { cases } = JSON.parse(readFileSync(new URL(`${format}.json`, import.meta.url), 'utf8')) as { cases: StoredVector[] };
  return cases.map(({ secret, plaintext, payload, ...rest }) => ({
    ...rest,
    secret: bytes(secret),
    plaintext: bytes(plaintext),
    payload: {
      metadata: Object.fromEntries(Object.entries(payload.metadata).map(([key, value]) => [key, bytes(value)])),
      data: bytes(payload.data),
    },
  }));
}
