// Who is calling: verifies a bearer token against the issuer that it claims to be from.
import { hash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload } from 'jose';
import { untilAborted } from '../../aborting.js';
import { systemClock, type Clock } from '../../clock.js';
import { isKeyholeError, KeyholeError } from '../../errors.js';
import { silentLogger, type AccessLogger } from '../logger.js';
import { fetchJson as httpsFetchJson, type FetchJson } from '../outgoing/fetch-json.js';
import type { Patience } from '../patience.js';
import type { Authenticator, Principal } from '../principal.js';
import { checkIssuers, type IssuerOptions } from './issuer-options.js';
import { KeySet } from './key-set.js';
import { ALGORITHMS } from './signing-keys.js';
import { invalid, maySpeak, principalOf, TOLERANCE_S } from './token-principal.js';
import { readUnverified } from './unverified-token.js';
import { VerifiedTokens } from './verified-tokens.js';

export interface TokenVerifierOptions {
  readonly issuers: readonly IssuerOptions[];
  /** Gets key sets and discovery documents. Default is over HTTPS, bounded. */
  readonly fetchJson?: FetchJson;
  /** Default is the system's. */
  readonly clock?: Clock;
  /** Told of key sets that cannot be loaded. Default is silent. */
  readonly logger?: AccessLogger;
  /** What verified until now: the key sets of issuers that are asked as before stay loaded. Default is none. */
  readonly previous?: TokenVerifier | undefined;
}

interface Issuer {
  readonly options: IssuerOptions;
  readonly keys: KeySet;
}

/**
 * Verifies JSON Web Tokens (RFC 7519) as RFC 8725 advises. It does not ask the issuer whether a token was revoked:
 * a token speaks until it expires, 24 hours after its issue at most.
 */
export class TokenVerifier implements Authenticator {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #clock: Clock;
  readonly #verified: VerifiedTokens;
  /** By the token's digest: the connections that a browser opens at once bring the same one. */
  readonly #verifying = new Map<string, Promise<Principal>>();

  /** @throws TypeError for no issuer, one twice, one without an audience, or an address that is not https. */
  constructor(options: TokenVerifierOptions) {
    const { issuers, fetchJson = httpsFetchJson, clock = systemClock } = options;
    const { logger = silentLogger, previous } = options;
    checkIssuers(issuers);
    this.#clock = clock;
    this.#verified = new VerifiedTokens(clock);
    this.#issuers = new Map(
      issuers.map((options) => {
        const { issuer, jwks, ca } = options;
        const known = previous === undefined ? undefined : previous.#issuers.get(issuer)?.keys;
        if (known?.isOf({ issuer, jwks, ca }) === true) return [issuer, { options, keys: known }];
        return [issuer, { options, keys: new KeySet({ issuer, jwks, ca, fetchJson, clock, logger }) }];
      }),
    );
  }

  /** Asking loads what is due, or was never loaded, so that a server without traffic becomes and stays ready too. */
  ready(): boolean {
    void this.warm();
    return [...this.#issuers.values()].some(({ keys }) => keys.usable);
  }

  /** Loads every issuer's keys; call it at the start. Never rejects. */
  async warm(): Promise<void> {
    await Promise.allSettled([...this.#issuers.values()].map(({ keys }) => keys.ensure()));
  }

  async authenticate(authorization: string | undefined, patience: Patience): Promise<Principal> {
    const token = bearerToken(authorization);
    const digest = hash('sha256', token, 'base64');
    const remembered = this.#verified.recall(digest);
    if (remembered !== undefined && this.#stillSpeaks(remembered)) return remembered;
    const { issuer: name, algorithm } = readUnverified(token);
    const issuer = this.#issuers.get(name);
    if (issuer === undefined) throw invalid('is of an issuer that is not trusted here');
    if (issuer.options.accept?.includes('bearer') === false) {
      throw invalid('is of an issuer whose people sign in here: setting "accept" of the issuer');
    }
    if (!ALGORITHMS.includes(algorithm)) throw invalid('is signed with an algorithm that is not accepted');
    const { signal } = patience;
    signal.throwIfAborted();
    return untilAborted(this.#verifyOnce(token, digest, issuer), signal, late);
  }

  #verifyOnce(token: string, digest: string, issuer: Issuer): Promise<Principal> {
    const verifying = this.#verifying.get(digest);
    if (verifying !== undefined) return verifying;
    const begun = this.#verify(token, digest, issuer).finally(() => {
      if (this.#verifying.get(digest) === begun) this.#verifying.delete(digest);
    });
    this.#verifying.set(digest, begun);
    return begun;
  }

  async #verify(token: string, digest: string, { options, keys }: Issuer): Promise<Principal> {
    await keys.ensure();
    const keysVersion = keys.version;
    const claims = await this.#verifiedClaims(token, options, keys);
    const principal = principalOf(claims, options, this.#clock.wall());
    this.#verified.remember(digest, principal, keys, keysVersion);
    return principal;
  }

  async #verifiedClaims(token: string, options: IssuerOptions, keys: KeySet): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, keys.find, {
        issuer: options.issuer,
        audience: [...options.audience],
        algorithms: [...ALGORITHMS],
        clockTolerance: TOLERANCE_S,
        requiredClaims: ['iss', 'aud', 'sub', 'exp', 'iat'],
        currentDate: new Date(this.#clock.wall()),
      });
      return payload;
    } catch (error) {
      throw refusalOf(error);
    }
  }

  /** `subjects` may have changed since: the account's id became known. */
  #stillSpeaks({ issuer, subject }: Principal): boolean {
    const trusted = this.#issuers.get(issuer);
    return trusted !== undefined && maySpeak(subject, trusted.options);
  }
}

/** RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1). */
function bearerToken(authorization: string | undefined): string {
  const token = /^bearer +([^ ]+)$/i.exec(authorization ?? '')?.[1];
  if (token !== undefined) return token;
  throw new KeyholeError('token_missing', 'send your access token as "Authorization: Bearer …"');
}

/** What jose says, in our words: its messages may quote the token. */
function refusalOf(error: unknown): KeyholeError {
  if (isKeyholeError(error)) return error;
  if (error instanceof errors.JWTExpired) {
    return new KeyholeError('token_expired', 'the access token has expired');
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return invalid(`has a claim that is missing or not accepted: ${error.claim}`);
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return invalid('is signed with a key that its issuer does not publish');
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return invalid('does not say which of its issuer’s keys signed it');
  }
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return invalid('has a signature that is not valid');
  return invalid('is not valid');
}

function late(): KeyholeError {
  const message = 'the token could not be verified in time';
  return new KeyholeError('jwks_unavailable', message, { retryAfterMs: 1_000 });
}
