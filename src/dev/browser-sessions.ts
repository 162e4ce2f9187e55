// Who is signed in to the Web UI of dev mode, kept in memory behind a random cookie.
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { SignedIn, SignInChecks } from './code-flow.js';

const SESSION_COOKIE = 'keyhole_session';
const SIGN_IN_COOKIE = 'keyhole_sign_in';
const SIGN_IN_MS = 600_000;
const MAX_ENTRIES = 100;

export interface BrowserSession {
  readonly email: string;
  readonly accessToken: string;
}

interface Kept<T> {
  readonly value: T;
  readonly expiresAtMs: number;
}

/**
 * The cookies are `HttpOnly; SameSite=Lax` without `Secure`, since dev mode's Web UI is plain http on loopback. A
 * session ends with its access token.
 */
export class BrowserSessions {
  readonly #now: () => number;
  readonly #sessions = new Map<string, Kept<BrowserSession>>();
  readonly #signIns = new Map<string, Kept<SignInChecks>>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Whose request it is, or `undefined`. */
  of(request: IncomingMessage): BrowserSession | undefined {
    return this.#find(this.#sessions, cookieOf(request, SESSION_COOKIE));
  }

  /** Remembers what the end of a sign-in is checked against. Answers the `Set-Cookie`. */
  remember(checks: SignInChecks): string {
    const id = this.#keep(this.#signIns, checks, SIGN_IN_MS);
    return `${SIGN_IN_COOKIE}=${id}; Path=/_keyhole; HttpOnly; SameSite=Lax; Max-Age=${SIGN_IN_MS / 1000}`;
  }

  /** What `remember` was told, once. */
  recall(request: IncomingMessage): SignInChecks | undefined {
    const id = cookieOf(request, SIGN_IN_COOKIE);
    const checks = this.#find(this.#signIns, id);
    if (id !== undefined) this.#signIns.delete(id);
    return checks;
  }

  /** Opens a session under a fresh id. Answers the `Set-Cookie`s. */
  open(request: IncomingMessage, signedIn: SignedIn): string[] {
    this.close(request);
    const { email, accessToken, lifetimeMs } = signedIn;
    const id = this.#keep(this.#sessions, { email, accessToken }, lifetimeMs);
    return [
      `${SESSION_COOKIE}=${id}; Path=/; HttpOnly; SameSite=Lax`,
      `${SIGN_IN_COOKIE}=; Path=/_keyhole; HttpOnly; SameSite=Lax; Max-Age=0`,
    ];
  }

  /** Ends the session. Answers the `Set-Cookie`. */
  close(request: IncomingMessage): string {
    this.#sessions.delete(cookieOf(request, SESSION_COOKIE) ?? '');
    return `${SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0`;
  }

  #keep<T>(entries: Map<string, Kept<T>>, value: T, lifetimeMs: number): string {
    const oldest = entries.keys().next();
    if (entries.size >= MAX_ENTRIES && oldest.done === false) entries.delete(oldest.value);
    const id = randomBytes(32).toString('base64url');
    entries.set(id, { value, expiresAtMs: this.#now() + lifetimeMs });
    return id;
  }

  #find<T>(entries: Map<string, Kept<T>>, id: string | undefined): T | undefined {
    const entry = entries.get(id ?? '');
    return entry !== undefined && entry.expiresAtMs > this.#now() ? entry.value : undefined;
  }
}

/** The value of one cookie. Cookies ignore the port, so others of this host come along; they are not looked at. */
function cookieOf(request: IncomingMessage, name: string): string | undefined {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** The `Cookie` header without the cookies of this file, for whoever must not see them. */
export function foreignCookies(header: string): string {
  const own = [`${SESSION_COOKIE}=`, `${SIGN_IN_COOKIE}=`];
  const pairs = header.split(';').map((pair) => pair.trim());
  return pairs.filter((pair) => !own.some((name) => pair.startsWith(name))).join('; ');
}
