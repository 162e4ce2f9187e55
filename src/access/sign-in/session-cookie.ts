// The cookies of a sign-in: their attributes, and how one is found among those that a browser sends.
import { KeyholeError } from '../../errors.js';

/** `__Host-`: set by this very host over https, for all of it (RFC 6265bis §4.1.3.2); no sibling host can plant one. */
const PREFIX = '__Host-';
export const SESSION_COOKIE = `${PREFIX}keyhole-session`;
/** Holds what the end of a sign-in is checked against. */
export const SIGN_IN_COOKIE = `${PREFIX}keyhole-sign-in`;

/** `None`: pages of another site send it too. */
export type SameSite = 'Lax' | 'None';

/**
 * One of our cookies. Never `Partitioned`: it is set in a visit of its own, and read under the Web UI. A server that is
 * reached over http, on this machine only, can have neither prefix nor `Secure`, since Safari takes none from there; its
 * cookie keeps to the path of `publicUrl`, because every server of this machine shares its host.
 */
export class OwnCookie {
  readonly #name: string;
  readonly #attributes: string;

  constructor(name: typeof SESSION_COOKIE | typeof SIGN_IN_COOKIE, publicUrl: string, sameSite: SameSite) {
    const { protocol, pathname } = new URL(publicUrl);
    const isSecure = protocol === 'https:';
    this.#name = isSecure ? name : name.slice(PREFIX.length);
    this.#attributes = isSecure
      ? `Path=/; Secure; HttpOnly; SameSite=${sameSite}`
      : `Path=${pathname}; HttpOnly; SameSite=Lax`;
  }

  /** The `Set-Cookie` line. */
  set(value: string, maxAgeS: number): string {
    return `${this.#name}=${value}; Max-Age=${Math.floor(maxAgeS)}; ${this.#attributes}`;
  }

  /** The `Set-Cookie` line that takes it from the browser. */
  clear(): string {
    return this.set('', 0);
  }

  /**
   * Its value in a `Cookie` header.
   *
   * @throws KeyholeError `token_invalid` where it is there twice.
   */
  in(header: string | undefined): string | undefined {
    return cookieNamed(header, this.#name);
  }
}

/**
 * The value of one cookie; those that are not ours are not looked at. Only blanks and tabs stand between cookies: what
 * JavaScript takes for space besides is part of a name, to which a browser holds no prefix (RFC 6265bis §5.7).
 *
 * @throws KeyholeError `token_invalid` where it is there twice: one of them is somebody else's.
 */
export function cookieNamed(header: string | undefined, name: string): string | undefined {
  const cookies = header ?? '';
  const begin = `${name}=`;
  let value: string | undefined;
  for (let at = cookies.indexOf(begin); at !== -1; at = cookies.indexOf(begin, at + 1)) {
    if (!beginsPair(cookies, at)) continue;
    if (value !== undefined) throw new KeyholeError('token_invalid', 'the cookie was sent twice');
    const end = cookies.indexOf(';', at);
    value = cookies.slice(at + begin.length, end === -1 ? undefined : end);
  }
  return value;
}

/** Without a copy of what thousands of cookies would be cut into. */
function beginsPair(cookies: string, at: number): boolean {
  let before = at - 1;
  while (cookies[before] === ' ' || cookies[before] === '\t') before -= 1;
  return before < 0 || cookies[before] === ';';
}

/**
 * Whether a browser takes two origins for one site: the scheme, and the last two labels of the host. Where a domain for
 * registrations has two labels itself (`co.uk`), this says yes too often: the cookie then stays `Lax`, and unsent.
 */
export function isSameSite(one: string, other: string): boolean {
  const [a, b] = [new URL(one), new URL(other)];
  return a.protocol === b.protocol && siteOf(a) === siteOf(b);
}

function siteOf({ hostname }: URL): string {
  const isAddress = hostname.startsWith('[') || /^[\d.]+$/.test(hostname);
  return isAddress ? hostname : hostname.split('.').slice(-2).join('.');
}
