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

/** What another program wrote. */
export interface ForeignVector {
  readonly name: string;
  /** As the payload records it; for temporal-proxy the URI. */
  readonly keyId?: string;
  readonly secret?: Buffer;
  readonly plaintext: Buffer;
  readonly payload: Vector['payload'];
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64');

export function readVectors(format: 'keyhole-v1' | 'encryption-jwt'): Vector[] {
  const { cases } = JSON.parse(readFileSync(new URL(`${format}.json`, import.meta.url), 'utf8')) as { cases: StoredVector[] };
  return cases.map(({ secret, plaintext, payload, ...rest }) => ({
    ...rest,
    secret: bytes(secret),
    plaintext: bytes(plaintext),
    payload: payloadOf(payload),
  }));
}

/** The vectors of `foreign/`, whose generators stand in `generators/`. */
export function readForeignVectors(file: string): ForeignVector[] {
  const { cases } = JSON.parse(readFileSync(new URL(`foreign/${file}.json`, import.meta.url), 'utf8')) as {
    cases: (Omit<StoredVector, 'secret'> & { secret?: string })[];
  };
  return cases.map(({ secret, plaintext, payload, ...rest }) => ({
    ...rest,
    ...(secret === undefined ? {} : { secret: bytes(secret) }),
    plaintext: bytes(plaintext),
    payload: payloadOf(payload),
  }));
}

function payloadOf({ metadata, data }: StoredVector['payload']): Vector['payload'] {
  const entries = Object.entries(metadata).map(([key, value]) => [key, bytes(value)] as const);
  return { metadata: Object.fromEntries(entries), data: bytes(data) };
}
