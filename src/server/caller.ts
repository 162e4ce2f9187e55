// Whose request it is: the token's that came along, or, where there is none, the session's.
import { networkOf } from '../access/network.js';
import type { Principal } from '../access/principal.js';
import { isSameSite } from '../access/sign-in/session-cookie.js';
import type { Session } from '../access/sign-in/session.js';
import { TOLERANCE_S } from '../access/tokens/token-principal.js';
import { isKeyholeError, KeyholeError, type KeyholeErrorCode } from '../errors.js';
import type { CallerDeadline } from './admission/caller-deadline.js';
import { overloaded } from './admission/overloaded.js';
import type { Waiter } from './admission/waits.js';
import { during } from './telemetry/tracing.js';
import type { Turn } from './turn.js';

/**
 * An `Authorization` header, good or bad, hides the cookie.
 *
 * @throws KeyholeError as `Authenticator.authenticate`; `overloaded`; `origin_refused`: a cookie comes along with whatever
 * a browser sends, so the page that sent it must be one that may.
 */
export async function callerOf(turn: Turn, deadline: CallerDeadline): Promise<Principal> {
  const { headers, setup } = turn;
  const session = headers.authorization === undefined ? await sessionOf(turn) : undefined;
  if (session !== undefined) {
    assertSentByListedPage(turn);
    renew(turn, session);
    return session.principal;
  }
  const principal = await during(setup.parts.tracing, 'verify token', () => verified(turn, deadline));
  turn.identified();
  return principal;
}

/** Nobody can tell now who asks. */
const CANNOT_TELL: ReadonlySet<KeyholeErrorCode> = new Set(['jwks_unavailable', 'overloaded']);

/**
 * After a body that was slow to come: whether a request that comes now, to the configuration in force, would be theirs.
 *
 * @throws KeyholeError `token_expired`, where it is nobody's any more or somebody else's: a token or session that ended, a
 * credential that was replaced, an issuer that is trusted no more; `jwks_unavailable`, `overloaded`
 */
export async function assertStillThem(
  turn: Turn,
  principal: Principal,
  deadline: CallerDeadline,
): Promise<void> {
  const now = { ...turn, setup: turn.latest() };
  const asked = turn.headers.authorization === undefined ? sessionOf(now) : verified(now, deadline);
  const again = await asked.catch((error: unknown) => {
    if (!isKeyholeError(error) || CANNOT_TELL.has(error.code)) throw error;
    return undefined;
  });
  const them = again !== undefined && 'principal' in again ? again.principal : again;
  const isSame =
    them?.subject === principal.subject && them.issuer === principal.issuer && them.email === principal.email;
  if (isSame && turn.clock.wall() < them.expiresAtMs + TOLERANCE_S * 1000) return;
  throw new KeyholeError('token_expired', 'your sign-in ended while the body was on its way');
}

/** While its issuer is slow, one network's tokens keep a part of the places; what is remembered needs none. */
function verified(
  { admission, headers, address, setup }: Turn,
  deadline: CallerDeadline,
): Promise<Principal> {
  const { authenticator, options } = setup.parts;
  const network = new Network(address);
  const refusal = admission.waits.refusal(network, options.limits);
  const patience = refusal === undefined ? deadline : { signal: AbortSignal.abort(refusal) };
  return admission.waits.during(
    network,
    options.limits,
    () => authenticator.authenticate(headers.authorization, patience),
    (answer) => deadline.run('jwks_unavailable', () => answer),
  );
}

/** Those who wait from one network. Its name is not needed for what is remembered. */
class Network implements Waiter {
  readonly exceeded = overloaded;
  readonly #address: string;

  constructor(address: string) {
    this.#address = address;
  }

  get name(): string {
    return `network ${networkOf(this.#address)}`;
  }
}

/**
 * The session that came along. Whoever has made sure that its person meant the request calls `renew`.
 *
 * @throws KeyholeError `token_invalid`, `token_expired`, `subject_refused`
 */
export async function sessionOf({ headers, setup, identified }: Turn): Promise<Session | undefined> {
  const session = await setup.parts.signIn?.sessions.of(headers.cookie);
  if (session !== undefined) identified();
  return session;
}

/** Renews a session with the answer, where that is due. */
export function renew({ exchange }: Turn, { renewal }: Session): void {
  if (renewal !== undefined) exchange.headers.push(['Set-Cookie', renewal]);
}

/** Whether a page of ours or the address bar asked; any other page can make a browser ask as often as it likes. */
export function isOwnVisit({ headers }: Turn): boolean {
  return ['same-origin', 'none', undefined].includes(headers.fetchSite);
}

/** @throws KeyholeError `origin_refused` unless a page of this server itself sent the request. */
export function assertSentByOwnPage({ headers, setup }: Turn): void {
  const { origin } = new URL(setup.parts.options.publicUrl);
  if (headers.origin === origin && isFitting(headers.fetchSite, 'same-origin')) return;
  throw new KeyholeError('origin_refused', 'this form was sent by another page');
}

function assertSentByListedPage({ headers, setup, origin }: Turn): void {
  if (origin === 'allowed' && headers.origin !== undefined) {
    if (isFitting(headers.fetchSite, relationOf(headers.origin, setup.parts.options.publicUrl))) return;
  }
  throw new KeyholeError('origin_refused', 'with a session only pages of listed origins may ask');
}

/** Browsers before 2023 do not say how page and server are related. */
function isFitting(fetchSite: string | undefined, expected: string): boolean {
  return fetchSite === undefined || fetchSite === expected;
}

/** What a browser says in `Sec-Fetch-Site` (W3C Fetch Metadata §2.3) of a page of `origin` that asks this server. */
function relationOf(origin: string, publicUrl: string): string {
  if (origin === new URL(publicUrl).origin) return 'same-origin';
  return isSameSite(origin, publicUrl) ? 'same-site' : 'cross-site';
}
