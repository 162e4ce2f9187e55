// Named secrets for programs that cannot sign in: how one is made, and who presents one.
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { systemClock, type Clock } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import type { Patience } from '../patience.js';
import type { Authenticator, Principal } from '../principal.js';

export interface Credential {
  /** How the record names it. */
  readonly name: string;
  /** SHA-256 of the whole secret, prefix included, in lower-case hex. */
  readonly sha256: string;
  /** When it ends, in milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

export interface CredentialAuthenticatorOptions {
  readonly credentials: readonly Credential[];
  /** Asked about everything that is not one of our secrets. */
  readonly others: Authenticator;
  /** Default is the system's. */
  readonly clock?: Clock;
}

/** `iss` of whom we vouch for ourselves; no https address, so no token's issuer can be called so. */
export const CREDENTIAL_ISSUER = 'keyhole';

const SHA256 = /^[0-9a-f]{64}$/;
/** RFC 6750 §2.1; a JSON Web Token never begins so: its first part is a JSON object in base64url. */
const PRESENTED = /^bearer +(kh_[^ ]*)$/i;

export function isCredentialName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text);
}

/** Whether a text has the form of our secrets, wherever it stands: it is then told to nobody. */
export function looksLikeSecret(text: string): boolean {
  return /^kh_[A-Za-z0-9_-]{43}$/.test(text);
}

/** A fresh secret of 256 random bits, and what the configuration keeps of it. */
export function createSecret(): { readonly secret: string; readonly sha256: string } {
  const secret = `kh_${randomBytes(32).toString('base64url')}`;
  return { secret, sha256: hash('sha256', secret) };
}

/**
 * A random secret of 256 bits needs no salt and no slow hash: nobody can try them all. Each comparison takes the same
 * time whatever is presented, and every credential is compared.
 */
export class CredentialAuthenticator implements Authenticator {
  readonly #known: readonly (Credential & { readonly digest: Buffer })[];
  readonly #others: Authenticator;
  readonly #clock: Clock;

  /** @throws TypeError for a hash that is none, or for a name or hash that is there twice. */
  constructor({ credentials, others, clock = systemClock }: CredentialAuthenticatorOptions) {
    for (const of of ['name', 'sha256'] as const) {
      if (new Set(credentials.map((one) => one[of])).size < credentials.length)
        throw new TypeError(`two credentials have one ${of}`);
    }
    const bad = credentials.find(({ sha256 }) => !SHA256.test(sha256));
    if (bad !== undefined) throw new TypeError(`credential ${bad.name} has no SHA-256 in hex`);
    this.#known = credentials.map((one) => ({ ...one, digest: Buffer.from(one.sha256, 'hex') }));
    this.#others = others;
    this.#clock = clock;
  }

  /** @throws KeyholeError as its interface says; a message names an expired credential, never a secret. */
  authenticate(authorization: string | undefined, patience: Patience): Promise<Principal> {
    const secret = PRESENTED.exec(authorization ?? '')?.[1];
    if (secret === undefined) return this.#others.authenticate(authorization, patience);
    return new Promise((resolve) => {
      resolve(this.#principalOf(secret));
    });
  }

  ready(): boolean {
    return this.#others.ready();
  }

  #principalOf(secret: string): Principal {
    const digest = hash('sha256', secret, 'buffer');
    const [found] = this.#known.filter((one) => timingSafeEqual(one.digest, digest));
    if (found === undefined) throw new KeyholeError('token_invalid', 'the credential is not known here');
    const { name, expiresAtMs } = found;
    if (this.#clock.wall() >= expiresAtMs)
      throw new KeyholeError('token_expired', `the credential ${name} has expired`);
    return { subject: name, issuer: CREDENTIAL_ISSUER, email: undefined, method: 'credential', expiresAtMs };
  }
}
