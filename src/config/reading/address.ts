// `host:port` as people write it, and whether only this machine can reach it.
import { isIP } from 'node:net';

export interface Address {
  /** A name, or an IP address without brackets. */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;
const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/;

/** `undefined` for anything but `host:port`; an IPv6 address stands in brackets. */
export function parseAddress(text: string): Address | undefined {
  const [, ipv6, name, digits] = ADDRESS.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return undefined;
  if (ipv6 !== undefined) return isIP(ipv6) === 6 ? { host: ipv6, port } : undefined;
  if (name === undefined || (isIP(name) === 0 && !HOST_NAME.test(name))) return undefined;
  return { host: name, port };
}

export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

const EVERY_INTERFACE: readonly string[] = ['0.0.0.0', '::'];

/** Whether only one of two listeners can have its address. */
export function areSame(one: Address, other: Address): boolean {
  if (one.port !== other.port) return false;
  return one.host === other.host || [one, other].some(({ host }) => EVERY_INTERFACE.includes(host));
}

/** The host as it stands in a URL. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
