// Tokens that were verified lately, by their SHA-256, so that a burst of requests costs one signature check.
import { ageMs, momentOf, type Clock, type Moment } from '../../clock.js';
import type { Principal } from '../principal.js';
import type { KeySet } from './key-set.js';

const MAX_AGE_MS = 10 * 60_000;
const MAX_REMEMBERED = 10_000;

interface Verified {
  readonly principal: Principal;
  readonly keys: KeySet;
  readonly keysVersion: number;
  readonly at: Moment;
}

export class VerifiedTokens {
  readonly #clock: Clock;
  readonly #byDigest = new Map<string, Verified>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The token's principal, until the earliest of `exp`, ten minutes, or any change of the issuer's keys. */
  recall(digest: string): Principal | undefined {
    const verified = this.#byDigest.get(digest);
    if (verified === undefined) return undefined;
    if (this.#holds(verified)) return verified.principal;
    this.#byDigest.delete(digest);
    return undefined;
  }

  /** @param keysVersion - version of the keys *before* the token was verified. */
  remember(digest: string, principal: Principal, keys: KeySet, keysVersion: number): void {
    const [oldest] = this.#byDigest.keys();
    if (this.#byDigest.size >= MAX_REMEMBERED && oldest !== undefined) this.#byDigest.delete(oldest);
    this.#byDigest.set(digest, { principal, keys, keysVersion, at: momentOf(this.#clock) });
  }

  /** Keys that are due are asked for first: a removed key is refused within ten minutes. */
  #holds({ principal, keys, keysVersion, at }: Verified): boolean {
    if (!keys.fresh || keys.version !== keysVersion) return false;
    return ageMs(this.#clock, at) < MAX_AGE_MS && this.#clock.wall() < principal.expiresAtMs;
  }
}
