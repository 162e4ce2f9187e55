// Claims that only this server, and others with the same secret, can read or write: a JWE (RFC 7516), `dir` and `A256GCM`.
import { hkdfSync } from 'node:crypto';
import { EncryptJWT, errors, jwtDecrypt, type JWTPayload } from 'jose';
import type { Clock } from '../../clock.js';
import { KeyholeError } from '../../errors.js';

export interface SealedClaimsOptions {
  /** At least 32 bytes that nobody can guess. */
  readonly secret: string;
  /** What the claims are for: another purpose has another key, and none opens what another sealed. */
  readonly purpose: string;
  readonly issuer: string;
  readonly audience: string;
  readonly clock: Clock;
}

/** A key for one purpose (RFC 5869). */
export function derivedKey(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `keyhole/${purpose}/v1`, 32));
}

export class SealedClaims {
  readonly #options: SealedClaimsOptions;
  readonly #key: Uint8Array;

  constructor(options: SealedClaimsOptions) {
    this.#options = options;
    this.#key = derivedKey(options.secret, options.purpose);
  }

  /** @param expiresAtS - seconds since the epoch. */
  seal(claims: JWTPayload, expiresAtS: number): Promise<string> {
    const { issuer, audience, clock } = this.#options;
    return new EncryptJWT(claims)
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt(new Date(clock.wall()))
      .setExpirationTime(Math.floor(expiresAtS))
      .encrypt(this.#key);
  }

  /** @throws KeyholeError `token_expired`, `token_invalid`; neither says anything of what was sealed. */
  async open(sealed: string): Promise<JWTPayload> {
    const { issuer, audience, clock } = this.#options;
    if (!sealed.split('.').every(isCanonical)) throw invalid();
    try {
      const { payload } = await jwtDecrypt(sealed, this.#key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
        issuer,
        audience,
        requiredClaims: ['iat', 'exp'],
        currentDate: new Date(clock.wall()),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired)
        throw new KeyholeError('token_expired', 'your sign-in has expired');
      throw invalid();
    }
  }
}

/** Base64url has spare bits at its end (RFC 4648 §3.5): one session is one text. */
function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

function invalid(): KeyholeError {
  return new KeyholeError('token_invalid', 'the cookie is not one that this server made');
}
