// The cookies of a sign-in: their attributes, and how one is found among those that a browser sends.
import { KeyholeError } from '../errors.js';

/** `__Host-`: set by this very host over https, for all of it (RFC 6265bis §4.1.3.2); no sibling host can plant one. */
export const SESSION_COOKIE = '__Host-keyhole-session';
/** Holds what the end of a sign-in is checked against. */
export const SIGN_IN_COOKIE = '__Host-keyhole-sign-in';

/** `None`: pages of another site send it too. */
export type SameSite = 'Lax' | 'None';

/** The `Set-Cookie` line. Never `Partitioned`: it is set in a visit of its own, and read under the Web UI. */
export function setCookie(name: string, value: string, maxAgeS: number, sameSite: SameSite): string {
  return `${name}=${value}; Path=/; Max-Age=${Math.floor(maxAgeS)}; Secure; HttpOnly; SameSite=${sameSite}`;
}

export function clearCookie(name: string, sameSite: SameSite): string {
  return setCookie(name, '', 0, sameSite);
}

/**
 * The value of one cookie; those that are not ours are not looked at.
 *
 * @throws KeyholeError `token_invalid` where it is there twice: one of them is somebody else's.
 */
export function cookieNamed(header: string | undefined, name: string): string | undefined {
  const [first, ...others] = (header ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`));
  if (others.length > 0) throw new KeyholeError('token_invalid', 'the cookie was sent twice');
  return first?.slice(name.length + 1);
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
