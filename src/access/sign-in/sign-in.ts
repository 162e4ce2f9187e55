// Signing in at this server: the code flow at one issuer, and the session at its end.
import { systemClock, type Clock } from '../../clock.js';
import { KeyholeError, isKeyholeError } from '../../errors.js';
import { networkOf } from '../network.js';
import type { Agents } from '../outgoing/connecting.js';
import type { Identity } from '../principal.js';
import type { IssuerOptions } from '../tokens/issuer-options.js';
import { identityOf } from '../tokens/token-principal.js';
import { CodeFlow, type SignInChecks } from './code-flow.js';
import { EndedIds } from './ended-ids.js';
import { IdentityClient } from './identity-client.js';
import { SealedClaims } from './sealed-claims.js';
import { isSameSite, OwnCookie, SIGN_IN_COOKIE, type SameSite } from './session-cookie.js';
import { Sessions } from './session.js';

export interface SignInOptions {
  readonly issuer: IssuerOptions;
  /** What the issuer knows us as. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** At least 32 bytes, the same for every instance. */
  readonly sessionSecret: string;
  /**
   * Where browsers reach this server: https, or http on this machine. The only source of the address that the issuer
   * sends them back to.
   */
  readonly publicUrl: string;
  /** Origins whose pages may send the cookie along. */
  readonly origins: readonly string[];
  /** What is asked of the issuer about the person; some name groups only for a scope of that. Default is `openid email`. */
  readonly scopes?: readonly string[];
  /** Groups that may grant something: a session remembers no others. Default is all of them. */
  readonly groups?: readonly string[];
  /** Sessions that ended in what this takes the place of. Default is none. */
  readonly ended?: EndedIds | undefined;
  /** What the issuer is asked by. Default is Node's own. */
  readonly agents?: Agents | undefined;
  /** Default is the system's. */
  readonly clock?: Clock;
}

/** Somebody, and the `Set-Cookie` of their session: nobody has it yet. */
export interface SignedIn {
  readonly identity: Identity;
  readonly cookie: string;
}

/** How long somebody may take at the issuer. */
const PENDING_S = 10 * 60;
/** Sign-ins at once that wait for the issuer, in all and from one network: anybody can begin one and end it badly. */
const MAX_WAITING = 32;
const MAX_WAITING_OF_NETWORK = 8;

/** Needs `openid-client`. */
export class SignIn {
  readonly sessions: Sessions;
  /** Where people sign in. */
  readonly issuer: string;
  readonly #options: SignInOptions;
  readonly #clock: Clock;
  readonly #flow: CodeFlow;
  readonly #pending: SealedClaims;
  readonly #cookie: OwnCookie;
  /** By their state. */
  readonly #spent: EndedIds;
  /** The network of each that waits. */
  readonly #waiting: string[] = [];

  constructor(options: SignInOptions) {
    const { issuer, sessionSecret: secret, publicUrl, groups, ended, clock = systemClock } = options;
    this.#options = options;
    this.issuer = issuer.issuer;
    this.#clock = clock;
    this.#spent = new EndedIds(clock);
    const sameSite = sameSiteFor(options);
    const who = { issuer, ...(groups && { groups }) };
    this.sessions = new Sessions({ ...who, secret, publicUrl, sameSite, ended, clock });
    this.#cookie = new OwnCookie(SIGN_IN_COOKIE, publicUrl, 'Lax');
    this.#pending = new SealedClaims({
      secret,
      purpose: 'sign-in',
      issuer: issuer.issuer,
      audience: new URL(publicUrl).origin,
      clock,
    });
    const client = new IdentityClient(options);
    this.#flow = new CodeFlow({
      client: () => client.get(),
      redirectUri: this.address('/signin/callback'),
      ...(options.scopes && { scopes: options.scopes }),
    });
  }

  /** One of our addresses, as browsers reach it. */
  address(path: string): string {
    return `${this.#options.publicUrl.replace(/\/$/, '')}${path}`;
  }

  /**
   * Where to send the browser, and the `Set-Cookie` that ties the sign-in to it.
   *
   * @param address - of the browser. Default is one that is not known.
   * @throws KeyholeError `jwks_unavailable`: the issuer does not answer; `overloaded`.
   */
  async begin(address = ''): Promise<{ readonly location: string; readonly cookie: string }> {
    const { url, checks } = await this.#bounded(address, () => this.#flow.begin());
    const sealed = await this.#pending.seal({ ...checks }, this.#clock.wall() / 1000 + PENDING_S);
    return { location: url.href, cookie: this.#cookie.set(sealed, PENDING_S) };
  }

  /**
   * The end of a sign-in that this browser began.
   *
   * @param search - the query of the address that the issuer sent the browser back to.
   * @param address - as for `begin`.
   * @throws KeyholeError `token_missing` (no sign-in was begun), `token_expired`, `token_invalid`, `subject_refused`,
   * `jwks_unavailable`, `overloaded`
   */
  async finish(search: string, cookies: string | undefined, address = ''): Promise<SignedIn> {
    const sealed = this.#cookie.in(cookies);
    if (sealed === undefined)
      throw new KeyholeError('token_missing', 'this browser did not begin the sign-in that ends here');
    const checks = checksOf(await this.#pending.open(sealed));
    if (new URLSearchParams(search).get('state') === checks.expectedState) this.#spend(checks.expectedState);
    const identity = await this.#bounded(address, () => this.#identify(search, checks));
    return { identity, cookie: await this.sessions.open(identity) };
  }

  /** The `Set-Cookie` that takes a sign-in from the browser, however it ended. */
  forgetPending(): string {
    return this.#cookie.clear();
  }

  /** The issuer is asked once for each sign-in that was begun, here; another instance leaves it to the issuer. */
  #spend(state: string): void {
    if (this.#spent.has(state)) throw new KeyholeError('token_invalid', 'this sign-in has come to its end');
    this.#spent.add(state, PENDING_S * 1000);
  }

  async #identify(search: string, checks: SignInChecks): Promise<Identity> {
    const { issuer } = this.#options;
    const { claims } = await this.#flow.finish(search, checks);
    if (claims['iss'] !== issuer.issuer) throw new Error('the ID token is another issuer’s');
    return identityOf(claims, issuer);
  }

  async #bounded<T>(address: string, work: () => Promise<T>): Promise<T> {
    const network = networkOf(address);
    const ofNetwork = this.#waiting.filter((other) => other === network).length;
    if (this.#waiting.length >= MAX_WAITING || ofNetwork >= MAX_WAITING_OF_NETWORK)
      throw new KeyholeError('overloaded', 'too many people sign in at once', { retryAfterMs: 1_000 });
    this.#waiting.push(network);
    try {
      return await work();
    } catch (error) {
      throw refusalOf(error);
    } finally {
      this.#waiting.splice(this.#waiting.indexOf(network), 1);
    }
  }
}

/** `None` only where a listed origin is of another site. */
export function sameSiteFor({ publicUrl, origins }: Pick<SignInOptions, 'publicUrl' | 'origins'>): SameSite {
  return origins.every((origin) => isSameSite(origin, publicUrl)) ? 'Lax' : 'None';
}

function checksOf(claims: Readonly<Record<string, unknown>>): SignInChecks {
  const { pkceCodeVerifier, expectedState, expectedNonce } = claims;
  if (typeof pkceCodeVerifier === 'string' && typeof expectedState === 'string') {
    if (typeof expectedNonce === 'string') return { pkceCodeVerifier, expectedState, expectedNonce };
  }
  throw new KeyholeError('token_invalid', 'the cookie is not one that this server made');
}

/** Our own refusal, however deep the code flow wrapped it; anything else is an answer that cannot be believed. */
function refusalOf(error: unknown): KeyholeError {
  for (let inner = error; inner instanceof Error; inner = inner.cause)
    if (isKeyholeError(inner)) return inner;
  const message = 'the answer of the identity provider does not belong to a sign-in of this browser';
  return new KeyholeError('token_invalid', message, { cause: error });
}
