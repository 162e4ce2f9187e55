// Signed tokens of every kind, good and bad, each kept as a secret that no output may carry.
import { createHmac, sign as signBytes, type KeyObject } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { plantSecret } from '../streams.js';

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

/** Any header over any claims, signed with bytes of the test's choice. */
export function forge(
  header: Claims,
  claims: Claims | string,
  signature: (input: string) => Uint8Array,
): string {
  const payload = typeof claims === 'string' ? claims : JSON.stringify(claims);
  const input = `${encoded(JSON.stringify(header))}.${encoded(payload)}`;
  return planted(`${input}.${Buffer.from(signature(input)).toString('base64url')}`);
}

/** HS256 with a secret of the test's choice. */
export function hmac(secret: string | Uint8Array): (input: string) => Uint8Array {
  return (input) => createHmac('sha256', secret).update(input).digest();
}

/** RS256 with a key that jose would not take. */
export function rs256(key: KeyObject): (input: string) => Uint8Array {
  return (input) => signBytes('sha256', Buffer.from(input), key);
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** Its payload and its signature are secrets; headers are everybody's. */
function planted(token: string): string {
  for (const part of token.split('.').slice(1)) if (part.length >= 12) plantSecret(part);
  return token;
}
