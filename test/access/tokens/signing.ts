// Signed tokens of every kind, good and bad, each kept as a secret that no output may carry.
import { createHmac, KeyObject, sign as signBytes } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { plantSecret } from '../../streams.js';

export interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  /** As an issuer publishes it. */
  readonly jwk: JWK;
}

export async function signingKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export type Claims = Readonly<Record<string, unknown>>;

/** `header` is added to `alg` and `kid`; undefined takes a member out. */
export async function sign(key: SigningKey, claims: Claims, header: Claims = {}): Promise<string> {
  const { alg, kid } = key;
  const token = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg, kid, ...header })
    .sign(key.privateKey);
  return planted(token);
}

/** Any header over any claims (a text is taken as it is), signed with bytes of the test's choice. */
export function forge(
  header: Claims | string,
  claims: Claims | string,
  signature: (input: string) => Uint8Array,
): string {
  const [head, payload] = [header, claims].map((part) =>
    typeof part === 'string' ? part : JSON.stringify(part),
  );
  const input = `${encoded(head ?? '')}.${encoded(payload ?? '')}`;
  return planted(`${input}.${Buffer.from(signature(input)).toString('base64url')}`);
}

/** HS256, or another HMAC, with a secret of the test's choice. */
export function hmac(secret: string | Uint8Array, hash = 'sha256'): (input: string) => Uint8Array {
  return (input) => createHmac(hash, secret).update(input).digest();
}

/** ES256 with a key of the issuer, over whatever `forge` is given; `change` spoils r and s. */
export function es256(
  { privateKey }: SigningKey,
  change: (r: Buffer, s: Buffer) => Uint8Array = (r, s) => Buffer.concat([r, s]),
): (input: string) => Uint8Array {
  const key = KeyObject.from(privateKey);
  return (input) => {
    const signature = signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
    return change(signature.subarray(0, 32), signature.subarray(32));
  };
}

/** RS256 with a key that jose would not take. */
export function rs256(key: KeyObject): (input: string) => Uint8Array {
  return (input) => signBytes('sha256', Buffer.from(input), key);
}

/** The same token with bits set that no canonical encoding sets (RFC 4648 §3.5). */
export function uncanonical(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(token.at(-1) ?? '');
  return `${token.slice(0, -1)}${alphabet[last + 1] ?? ''}`;
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** Its payload and its signature are secrets; headers are everybody's. */
function planted(token: string): string {
  for (const part of token.split('.').slice(1)) if (part.length >= 12) plantSecret(part);
  return token;
}
