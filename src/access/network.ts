// The network that an address is of, by which strangers are counted.
import { isIP } from 'node:net';

/**
 * `203.0.113.0/24`, `2001:db8:0:1::/64`: who has one address there may well have all of them. `unknown` for what is no
 * address.
 */
export function networkOf(address: string): string {
  switch (isIP(address)) {
    case 4:
      return `${address.split('.').slice(0, 3).join('.')}.0/24`;
    case 6:
      return `${firstGroups(address)}::/64`;
    default:
      return 'unknown';
  }
}

/** The first four of the eight groups (RFC 4291 §2.2). */
function firstGroups(address: string): string {
  const [before = '', after] = address.split('::');
  const groups = before === '' ? [] : before.split(':');
  const last = after === undefined || after === '' ? [] : after.split(':');
  while (after !== undefined && groups.length + last.length < 8) groups.push('0');
  return [...groups, ...last].slice(0, 4).map(plain).join(':');
}

/** As short as it can be written, so that one network has one name. */
function plain(group: string): string {
  return Number.parseInt(group, 16).toString(16);
}
