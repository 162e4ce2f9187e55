// What is believed of one issuer's tokens.
import type { RoleClaimPaths } from './role-claims.js';

export interface IssuerOptions {
  /** `iss`, compared exactly. */
  readonly issuer: string;
  /** At least one of them must be in `aud`. */
  readonly audience: readonly string[];
  /** Address of the key set, https. Default is by OpenID discovery. */
  readonly jwks?: string;
  /** PEM of a private CA in front of the issuer. Default is Node's own list. */
  readonly ca?: string;
  /** Claim of the e-mail. Default is none: the token carries no e-mail that counts. */
  readonly emailClaim?: string;
  /** Claim that must be boolean `true` for the e-mail to count. Default is none. */
  readonly emailVerifiedClaim?: string;
  /**
   * Domains this issuer may vouch for; a domain belongs to one issuer. Default is any, which is right only for an
   * issuer that is alone in vouching for e-mails, or where something else decides membership.
   */
  readonly emailDomains?: readonly string[];
  /** Where its tokens name roles and groups. Default is nowhere. */
  readonly roleClaims?: RoleClaimPaths;
  /** Which `sub` may speak: names, or patterns with one `*`; asked anew for each token. Default is every one. */
  readonly subjects?: () => readonly string[];
  /** How its people may come: with its access tokens, or with a session after they signed in here. Default is both. */
  readonly accept?: readonly ('bearer' | 'session')[];
}

export interface TemporalCloudIssuerOptions {
  /** Id of our own account, or what tells it once it is known. Default is unknown: no enterprise connection may speak. */
  readonly account?: string | (() => string | undefined);
  /** As of any issuer. Default is any: right where the account's own list of people decides membership. */
  readonly emailDomains?: readonly string[];
  /** Which `sub` may speak. Default: social and password logins, and the enterprise connection of our own account. */
  readonly subjects?: readonly string[];
}

export const TEMPORAL_CLOUD_ISSUER = 'https://login.tmprl.cloud/';
/** Logins that Temporal Cloud itself runs. */
const OWN_LOGINS = ['google-oauth2|*', 'windowslive|*', 'auth0|*'];

/**
 * The issuer of Temporal Cloud's access tokens. One issuer serves all its customers, each with an identity provider
 * of its own, so neither signature nor e-mail says whose customer somebody is: `subjects` does. The form of `sub` for
 * enterprise connections (`samlp|ACCOUNT-saml|…`) is taken from the documentation, unproven.
 */
export function temporalCloudIssuer({
  account,
  emailDomains,
  subjects,
}: TemporalCloudIssuerOptions = {}): IssuerOptions {
  return {
    issuer: TEMPORAL_CLOUD_ISSUER,
    jwks: 'https://login.tmprl.cloud/.well-known/jwks.json',
    audience: ['https://saas-api.tmprl.cloud'],
    emailClaim: 'https://saas-api.tmprl.cloud/user/email',
    ...(emailDomains === undefined ? {} : { emailDomains }),
    subjects: () => {
      if (subjects !== undefined) return subjects;
      const id = typeof account === 'function' ? account() : account;
      return id === undefined ? OWN_LOGINS : [...OWN_LOGINS, `samlp|${id}-saml|*`];
    },
  };
}

/** @throws TypeError for no issuer, one twice, one without an audience, or anything that could not work. */
export function checkIssuers(issuers: readonly IssuerOptions[]): void {
  if (issuers.length === 0) throw new TypeError('at least one issuer must be trusted');
  const domains = issuers.flatMap(({ emailDomains }) => [...new Set(emailDomains?.map(asciiLowerCase))]);
  const [twice] = [...repeated(issuers.map(({ issuer }) => issuer)), ...repeated(domains)];
  if (twice !== undefined)
    throw new TypeError(`${twice} is there twice: issuers and e-mail domains are unique`);
  for (const { issuer, jwks, audience } of issuers) {
    if (!isHttps(issuer)) throw new TypeError(`issuer ${issuer} is not an https address`);
    if (jwks !== undefined && !isHttps(jwks))
      throw new TypeError(`jwks of ${issuer} is not an https address`);
    if (audience.length === 0 || audience.some((name) => name === '' || name === '*')) {
      throw new TypeError(`issuer ${issuer} needs an audience`);
    }
  }
}

export function asciiLowerCase(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function repeated(values: readonly string[]): string[] {
  return values.filter((value, index) => values.indexOf(value) !== index);
}

function isHttps(address: string): boolean {
  return URL.canParse(address) && new URL(address).protocol === 'https:';
}
