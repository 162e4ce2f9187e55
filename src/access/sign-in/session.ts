// Sessions of people who signed in here: sealed into a cookie, renewed in use, ended by sign-out.
import { createHmac, hash, randomUUID, timingSafeEqual } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { systemClock, type Clock } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import type { Identity, NoEmail, Principal } from '../principal.js';
import type { IssuerOptions } from '../tokens/issuer-options.js';
import type { RoleClaims } from '../tokens/role-claims.js';
import { maySpeak, mayVouch, TOLERANCE_S } from '../tokens/token-principal.js';
import { EndedIds } from './ended-ids.js';
import { derivedKey, SealedClaims } from './sealed-claims.js';
import { OwnCookie, SESSION_COOKIE, type SameSite } from './session-cookie.js';

export interface SessionsOptions {
  /** Whose people sign in; asked anew whether somebody may still speak at each use of a session. */
  readonly issuer: IssuerOptions;
  /** At least 32 bytes, the same for every instance. */
  readonly secret: string;
  /** Where browsers reach this server: another server's session is none here. */
  readonly publicUrl: string;
  readonly sameSite: SameSite;
  /** Groups that may grant something: a session remembers no others. Default is all of them. */
  readonly groups?: readonly string[];
  /** Of whom these sessions take the place of. Default is none. */
  readonly ended?: EndedIds | undefined;
  /** Default is the system's. */
  readonly clock?: Clock;
}

export interface Session {
  /** Random; another one after each sign-in. */
  readonly id: string;
  /** Milliseconds since the epoch, in whole seconds. */
  readonly signedInAtMs: number;
  readonly principal: Principal;
  /** To be sent along by the forms that are shown to this session. */
  readonly formToken: string;
  /** `Set-Cookie` of the renewed session, where it is due. */
  readonly renewal: string | undefined;
}

/** How long a cookie is good for without being used. */
const IDLE_S = 15 * 60;
/** A cookie of this age is renewed by its use. */
const RENEWED_AFTER_S = 5 * 60;
const LONGEST_S = 8 * 3_600;
/** Nobody is asked again what the issuer said of roles: whose session rests on that signs in each hour. */
const LONGEST_WITH_ROLES_S = 3_600;
/**
 * Browsers drop what is longer than 4,096 bytes with its name (RFC 6265bis §5.7), and proxies take one memory page for
 * all headers of an answer.
 */
const MAX_COOKIE_BYTES = 3_072;

/** Permissions and groups. */
type SealedRoles = readonly [readonly string[], readonly string[]];

/**
 * Nothing is kept of a session but, until it would have ended anyway, the ids of those that ended by sign-out *here*:
 * 10,000 of them. Where one more makes the earliest be forgotten, every session that began no later is over.
 * Other instances do not learn of it: a copy that somebody made before is good there while it is used, at most until 8
 * hours after the sign-in (one hour, if it carries roles), and 15 minutes where it is not.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #clock: Clock;
  readonly #sealed: SealedClaims;
  readonly #cookie: OwnCookie;
  readonly #formKey: Uint8Array;
  /** Those that ended by sign-out here. */
  readonly ended: EndedIds;

  constructor(options: SessionsOptions) {
    const { issuer, secret, publicUrl, sameSite, clock = systemClock } = options;
    const { ended = new EndedIds(clock) } = options;
    this.#options = options;
    this.#clock = clock;
    this.ended = ended;
    const names = { secret, issuer: issuer.issuer, audience: new URL(publicUrl).origin, clock };
    this.#cookie = new OwnCookie(SESSION_COOKIE, publicUrl, sameSite);
    this.#sealed = new SealedClaims({ ...names, purpose: 'session' });
    this.#formKey = derivedKey(secret, 'form');
  }

  /**
   * A new session, under an id that nobody knew before. Answers the `Set-Cookie`.
   *
   * @throws KeyholeError `subject_refused`: no cookie holds as many roles and groups.
   */
  async open({ subject, email, noEmail, roleClaims }: Identity): Promise<string> {
    const signedInAtS = Math.floor(this.#nowS());
    const claims = {
      jti: randomUUID(),
      sub: subject,
      signedInAtS,
      readBy: readBy(this.#options.issuer),
      ...(email !== undefined && { email }),
      ...(noEmail !== undefined && { noEmail }),
      ...(roleClaims !== undefined && { roles: this.#rolesKept(roleClaims) }),
    };
    const cookie = await this.#cookieOf(claims, signedInAtS);
    if (cookie.length <= MAX_COOKIE_BYTES) return cookie;
    throw new KeyholeError(
      'subject_refused',
      'the identity provider names more of your roles and groups than a session can hold',
    );
  }

  /**
   * Whose session a `Cookie` header carries; `undefined` where it carries none.
   *
   * @throws KeyholeError `token_invalid`, `token_expired`, `subject_refused`
   */
  async of(cookies: string | undefined): Promise<Session | undefined> {
    const value = this.#cookie.in(cookies);
    if (value === undefined) return undefined;
    const claims = await this.#sealed.open(value);
    const { jti: id, sub: subject, exp, iat, email, signedInAtS } = claims;
    const usable = id !== undefined && subject !== undefined && exp !== undefined && iat !== undefined;
    if (!usable || typeof signedInAtS !== 'number' || iat > this.#nowS() + TOLERANCE_S) throw invalid();
    const signedInAtMs = signedInAtS * 1000;
    if (this.ended.has(id, signedInAtMs))
      throw new KeyholeError('token_expired', 'you signed out, or too many others did: sign in again');
    const { issuer } = this.#options;
    if (claims['readBy'] !== readBy(issuer))
      throw new KeyholeError('token_expired', 'what counts here of a sign-in has changed: sign in again');
    const roleClaims = roleClaimsOf(claims, signedInAtS);
    if (!maySpeak(subject, issuer)) {
      throw new KeyholeError('subject_refused', 'this kind of sign-in is no longer accepted here');
    }
    const isVouched = typeof email === 'string' && mayVouch(email, issuer);
    const identity: Identity = {
      subject,
      issuer: issuer.issuer,
      ...(isVouched ? { email } : { email: undefined, noEmail: whyNone(claims) }),
      ...(roleClaims !== undefined && { roleClaims }),
    };
    const due = this.#nowS() - iat >= RENEWED_AFTER_S && exp < lastSecondOf(claims, signedInAtS);
    return {
      id,
      signedInAtMs,
      principal: { ...identity, method: 'session', expiresAtMs: exp * 1000 },
      formToken: this.#formTokenOf(id),
      renewal: due ? await this.#cookieOf(claims, signedInAtS) : undefined,
    };
  }

  /** Whether a form was shown to this session. */
  isFormOf({ id }: Session, formToken: string): boolean {
    const [given, own] = [Buffer.from(formToken), Buffer.from(this.#formTokenOf(id))];
    return given.length === own.length && timingSafeEqual(given, own);
  }

  /** Ends a session. Answers the `Set-Cookie` that takes it from the browser. */
  end(session: Session | undefined): string {
    if (session !== undefined) this.ended.add(session.id, LONGEST_S * 1000, session.signedInAtMs);
    return this.#cookie.clear();
  }

  async #cookieOf(claims: JWTPayload, signedInAtS: number): Promise<string> {
    const nowS = Math.floor(this.#nowS());
    const expiresAtS = Math.min(nowS + IDLE_S, lastSecondOf(claims, signedInAtS));
    const sealed = await this.#sealed.seal(claims, expiresAtS);
    return this.#cookie.set(sealed, expiresAtS - nowS);
  }

  #rolesKept({ permissions, groups }: RoleClaims): SealedRoles {
    const counting = this.#options.groups;
    return [permissions, groups.filter((group) => counting?.includes(group) ?? true)];
  }

  #formTokenOf(id: string): string {
    return createHmac('sha256', this.#formKey).update(id).digest('base64url');
  }

  #nowS(): number {
    return this.#clock.wall() / 1000;
  }
}

/** Which claims of an ID token count: what others said once counts no more. */
function readBy({ emailClaim, emailVerifiedClaim, roleClaims }: IssuerOptions): string {
  const paths = [emailClaim, emailVerifiedClaim, roleClaims && [roleClaims.permissions, roleClaims.groups]];
  return hash('sha256', JSON.stringify(paths), 'base64url').slice(0, 22);
}

function lastSecondOf({ roles }: JWTPayload, signedInAtS: number): number {
  return signedInAtS + (roles === undefined ? LONGEST_S : LONGEST_WITH_ROLES_S);
}

/** Of a session without an e-mail that counts: why. */
function whyNone({ email, noEmail }: JWTPayload): NoEmail {
  return email === undefined ? (noEmail as NoEmail) : 'foreign'; // only `open` seals any
}

/** What the ID token said of roles, which is as old as the sign-in. */
function roleClaimsOf({ roles }: JWTPayload, signedInAtS: number): RoleClaims | undefined {
  if (roles === undefined) return undefined;
  const [permissions, groups] = roles as SealedRoles; // only `open` seals any
  return { permissions, groups, issuedAtMs: signedInAtS * 1000 };
}

function invalid(): KeyholeError {
  return new KeyholeError('token_invalid', 'the cookie is not one that this server made');
}
