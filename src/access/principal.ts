// Who is calling, as proven by a verified token or by a session of our own.
import type { Patience } from './patience.js';
import type { RoleClaims } from './tokens/role-claims.js';

/** Why no e-mail of somebody counts: there is none, nobody says it is verified, or the issuer may not vouch for it. */
export type NoEmail = 'absent' | 'unverified' | 'foreign';

/** Somebody, as their issuer names them. */
export interface Identity {
  /** `sub` of the token. */
  readonly subject: string;
  /** `iss` of the token. */
  readonly issuer: string;
  /** The e-mail the issuer vouches for (ASCII lower-cased), if it may and does. */
  readonly email: string | undefined;
  /** Where there is no e-mail: why. */
  readonly noEmail?: NoEmail;
  /** What their token says of roles, where its issuer is asked for that. */
  readonly roleClaims?: RoleClaims;
}

export interface Principal extends Identity {
  /** How they proved it: an access token, the cookie of a sign-in here, or a credential of a program. */
  readonly method: 'bearer' | 'session' | 'credential';
  /** When the proof ends, in milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** Tells who is calling. */
export interface Authenticator {
  /**
   * @param authorization - the value of the `Authorization` header, or `undefined` when there is none.
   * @param patience - of the caller. If it has ended already, nothing is begun that would be waited for: it throws
   * the reason.
   * @throws KeyholeError `token_missing`, `token_invalid`, `token_expired`, `subject_refused`, `email_missing`,
   * `jwks_unavailable`. A message never holds any part of the token but the `sub`'s prefix before `|`.
   */
  authenticate(authorization: string | undefined, patience: Patience): Promise<Principal>;
  /** Whether at least one key set has been loaded (for `/health/ready`). */
  ready(): boolean;
}
