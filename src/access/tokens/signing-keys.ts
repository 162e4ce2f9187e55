// Which keys of an issuer's key set (RFC 7517) may verify tokens: strong asymmetric signing keys only.
import type { JWK } from 'jose';

/** Algorithms we accept; never read from the token (RFC 8725 §3.1). */
export const ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

const MAX_KEYS = 100;
const EC_CURVES = ['P-256', 'P-384', 'P-521'];
const MIN_RSA_BITS = 2048n;
/** What OpenSSL verifies at most. */
const MAX_RSA_BYTES = 2048;
const MAX_RSA_EXPONENT_BYTES = 32;
/** Members that only a private or symmetric key has (RFC 7518 §6). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const;

/**
 * The keys of a key set that we would verify with; weak keys and those for other uses are left out.
 *
 * @throws Error for what is no key set, holds more than 100 keys, a secret, or no key that we would use.
 */
export function signingKeys(document: unknown): JWK[] {
  const keys = isRecord(document) ? document['keys'] : undefined;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) {
    throw new Error(`what the issuer answered is not a key set of at most ${MAX_KEYS} keys`);
  }
  const records = keys.filter(isRecord);
  if (records.some(isSecret)) throw new Error('a key set with private or symmetric keys is not used');
  const admitted = (records as JWK[]).filter(isStrong);
  if (admitted.length === 0) throw new Error('the key set has no key that may sign tokens');
  return admitted;
}

function isSecret(key: Record<string, unknown>): boolean {
  return key['kty'] === 'oct' || SECRET_MEMBERS.some((member) => key[member] !== undefined);
}

function isStrong(key: JWK): boolean {
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (key.alg !== undefined && !ALGORITHMS.includes(key.alg)) return false;
  switch (key.kty) {
    case 'EC':
      return EC_CURVES.includes(key.crv ?? '');
    case 'OKP':
      return key.crv === 'Ed25519';
    case 'RSA':
      return isStrongRsa(key);
    default:
      return false;
  }
}

/** A modulus of 2048 bits or more; e odd, at least 65537 and below 2^256 (NIST SP 800-56B §6.2, FIPS 186-5 §5.4). */
function isStrongRsa({ n, e }: JWK): boolean {
  if (typeof n !== 'string' || typeof e !== 'string') return false;
  const [modulus, exponent] = [Buffer.from(n, 'base64url'), Buffer.from(e, 'base64url')];
  if (modulus.length > MAX_RSA_BYTES || exponent.length > MAX_RSA_EXPONENT_BYTES) return false;
  const value = numberOf(exponent);
  return numberOf(modulus) >> (MIN_RSA_BITS - 1n) > 0n && value >= 65_537n && value % 2n === 1n;
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x0${bytes.toString('hex')}`);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
