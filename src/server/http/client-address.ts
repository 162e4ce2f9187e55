// The address a request or connection came from: proxies count only where the configuration trusts them.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { networkOf } from '../../access/network.js';

/** @throws TypeError for what is not a CIDR. */
export function trustedAddresses(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', prefix] = cidr.split('/');
    const family = isIP(address);
    const bits = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix);
    if (family === 0 || !Number.isInteger(bits)) throw new TypeError(`"${cidr}" is not a CIDR`);
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** The last hop that is not one of ours. */
export function clientAddress(request: IncomingMessage, trusted: BlockList): string {
  let address = plain(request.socket.remoteAddress ?? '');
  const forwarded = request.headers['x-forwarded-for'];
  let hops = typeof forwarded === 'string' ? forwarded : '';
  while (hops !== '' && isTrusted(address, trusted)) {
    const comma = hops.lastIndexOf(',');
    const hop = plain(hops.slice(comma + 1).trim());
    if (isIP(hop) === 0) break;
    address = hop;
    hops = hops.slice(0, Math.max(0, comma));
  }
  return address;
}

/**
 * Whether requests from there may come without TLS: from this machine, or over one of our proxies, which have been told
 * to end it.
 */
export function mayComeInClear(remoteAddress: string | undefined, trusted: BlockList): boolean {
  const address = plain(remoteAddress ?? '');
  return isLoopback(address) || isTrusted(address, trusted);
}

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3) and ::1 (RFC 4291 §2.5.3), as a socket writes them. */
function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/**
 * What connections of strangers are counted by: the address, of IPv6 its first 64 bits, since who has one address there
 * has all of them. `undefined` for a trusted proxy, which brings everybody's.
 */
export function strangerFrom(remoteAddress: string | undefined, trusted: BlockList): string | undefined {
  const address = plain(remoteAddress ?? '');
  if (isTrusted(address, trusted)) return undefined;
  return isIP(address) === 6 ? networkOf(address) : address;
}

function isTrusted(address: string, trusted: BlockList): boolean {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** The far end of a connection, whoever it brings. */
export function farEnd(remoteAddress: string | undefined): string {
  return plain(remoteAddress ?? '');
}

/** An IPv4 address that an IPv6 socket shows. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
