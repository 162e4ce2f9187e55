// Whom a verified token stands for: our own rules on its claims, beyond what jose checks.
import type { JWTPayload } from 'jose';
import { KeyholeError } from '../../errors.js';
import { matchesPattern } from '../../pattern.js';
import type { Identity, NoEmail, Principal } from '../principal.js';
import { asciiLowerCase, type IssuerOptions } from './issuer-options.js';
import { roleClaimsOf } from './role-claims.js';

/** How far clocks may differ, in seconds. */
export const TOLERANCE_S = 5;
const MAX_LIFETIME_S = 24 * 3_600;
/** Keycloak's. */
const OTHER_TYPES: ReadonlySet<unknown> = new Set(['Refresh', 'Offline', 'Logout']);
const MAX_SUBJECT_LENGTH = 255;
/** Printable ASCII with one `@`; RFC 5321 §4.5.3.1.3 bounds the length. */
const EMAIL = /^(?=.{3,254}$)[\x21-\x3f\x41-\x7e]+@([\x21-\x3f\x41-\x7e]+)$/;

/**
 * `email_verified` (OpenID Connect Core 1.0 §5.1) of an e-mail that its own issuer does not vouch for, whatever the
 * configuration asks; some write it as a string.
 */
const UNVERIFIED: ReadonlySet<unknown> = new Set([false, 'false']);

/** @throws KeyholeError `token_invalid`, `subject_refused` */
export function principalOf(claims: JWTPayload, options: IssuerOptions, nowMs: number): Principal {
  assertAccessToken(claims, nowMs / 1000);
  const { exp = 0 } = claims;
  return { ...identityOf(claims, options), method: 'bearer', expiresAtMs: exp * 1000 };
}

/**
 * Whom the claims of a token of this issuer name, be it an access token or an ID token.
 *
 * @throws KeyholeError `token_invalid`, `subject_refused`
 */
export function identityOf(claims: JWTPayload, options: IssuerOptions): Identity {
  const sub: unknown = claims.sub; // jose does not look at its type
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT_LENGTH) {
    throw invalid('has no usable subject');
  }
  if (!maySpeak(sub, options)) {
    throw new KeyholeError(
      'subject_refused',
      `${kindOf(sub)} are not accepted here: setting "subjects" of the issuer`,
    );
  }
  const { issuer, roleClaims } = options;
  return {
    subject: sub,
    issuer,
    ...emailOf(claims, options),
    ...(roleClaims === undefined ? {} : { roleClaims: roleClaimsOf(claims, roleClaims) }),
  };
}

export function maySpeak(subject: string, { subjects }: IssuerOptions): boolean {
  return subjects === undefined || subjects().some((pattern) => matchesPattern(pattern, subject));
}

export function invalid(what: string): KeyholeError {
  return new KeyholeError('token_invalid', `the access token ${what}`);
}

/**
 * OpenID Connect Core 1.0 §2 and §3.1.3.6: `nonce` and `at_hash` are an ID token's; RFC 8417 §2.2: `events` are a
 * security event's, such as a logout; Keycloak marks all its tokens with a `typ` among the claims.
 */
function assertAccessToken(claims: JWTPayload, nowS: number): void {
  const { exp = 0, iat = 0, nonce, at_hash: hash, events, typ } = claims;
  if (nonce !== undefined || hash !== undefined || typ === 'ID') {
    throw invalid('is an ID token, not an access token');
  }
  if (events !== undefined || OTHER_TYPES.has(typ)) throw invalid('is a token of another kind than access');
  if (iat > nowS + TOLERANCE_S) throw invalid('was issued in the future');
  if (exp - iat > MAX_LIFETIME_S) throw invalid('lives for more than 24 hours');
}

/** The sign-in by the subject's prefix, the only part of a refused token that is ever shown. */
function kindOf(subject: string): string {
  const bar = subject.indexOf('|');
  if (bar === -1) return 'subjects without a prefix';
  const prefix = subject.slice(0, Math.min(bar, 40)).replaceAll(/[^\w.-]/g, '?');
  return `subjects that begin with "${prefix}|"`;
}

/** The e-mail, ASCII lower-cased, if the issuer may vouch for it and does. */
function emailOf(claims: JWTPayload, options: IssuerOptions): Pick<Identity, 'email' | 'noEmail'> {
  const { emailClaim, emailVerifiedClaim } = options;
  const value = emailClaim === undefined ? undefined : claims[emailClaim];
  if (typeof value !== 'string') return without('absent');
  const isVerified = emailVerifiedClaim === undefined || claims[emailVerifiedClaim] === true;
  if (!isVerified || UNVERIFIED.has(claims['email_verified'])) return without('unverified');
  const email = asciiLowerCase(value);
  return mayVouch(email, options) ? { email } : without('foreign');
}

function without(noEmail: NoEmail): Pick<Identity, 'email' | 'noEmail'> {
  return { email: undefined, noEmail };
}

/** Whether the issuer's word counts for this e-mail, which is ASCII lower-cased. */
export function mayVouch(email: string, { emailDomains }: IssuerOptions): boolean {
  const domain = EMAIL.exec(email)?.[1];
  if (domain === undefined) return false;
  return emailDomains?.some((own) => asciiLowerCase(own) === domain) ?? true;
}
