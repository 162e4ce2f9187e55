// Which way requests leave this process, by HTTPS_PROXY, HTTP_PROXY and NO_PROXY: the one file that decides.
import { BlockList, isIP } from 'node:net';
import { straightTo, type Agents, type Channel } from '../access/outgoing/connecting.js';
import type { Environment } from './environment.js';
import { ProxiedHttpAgent, ProxiedHttpsAgent, type Proxy, type ProxyOf } from './proxy-agents.js';
import { parseAddress, urlHost, type Address } from './reading/address.js';
import type { Place } from './sections/place.js';

/** What the environment says of proxies. */
export interface Proxies {
  /** For https and gRPC. */
  readonly https: Proxy | undefined;
  /** For http. */
  readonly http: Proxy | undefined;
  /** Rules of NO_PROXY. */
  readonly straight: readonly string[];
}

export interface Egress {
  /** A connection a request; `undefined`: Node's own. */
  readonly agents: Agents | undefined;
  /** Connections are kept for the next request; `undefined`: Node's own. */
  readonly keptAgents: Agents | undefined;
  /** @param address - `host:port`, always TLS */
  readonly channelTo: (address: string) => Channel;
  /** Ends connections that are kept. */
  readonly close: () => void;
}

export const NO_PROXIES: Proxies = { https: undefined, http: undefined, straight: [] };

/** Each in either case; lower case wins, as in curl and Node. */
export function readProxies({ env, problems }: Pick<Place, 'env' | 'problems'>): Proxies {
  const proxy = (name: string): Proxy | undefined => {
    const text = inEitherCase(env, name);
    if (text === undefined) return undefined;
    const read = parseProxy(text);
    if (read === undefined) problems.add(name, 'must be http://HOST:PORT, with USER:PASSWORD@ if need be');
    return read;
  };
  const rules = (inEitherCase(env, 'NO_PROXY') ?? '').split(/[\s,]+/).filter((rule) => rule !== '');
  return { https: proxy('HTTPS_PROXY'), http: proxy('HTTP_PROXY'), straight: rules };
}

export function openEgress({ https, http, straight }: Proxies): Egress {
  if (https === undefined && http === undefined)
    return { agents: undefined, keptAgents: undefined, channelTo: straightTo, close: () => undefined };
  const isStraight = straightRule(straight);
  const by =
    (proxy: Proxy | undefined): ProxyOf =>
    (target) =>
      isStraight(target) ? undefined : proxy;
  const agents = (keepAlive: boolean): Agents => ({
    http: new ProxiedHttpAgent(by(http), { keepAlive }),
    https: new ProxiedHttpsAgent(by(https), { keepAlive }),
  });
  const kept = agents(true);
  return {
    agents: agents(false),
    keptAgents: kept,
    channelTo: (address) => channelBy(by(https), address),
    close: () => {
      kept.http.destroy();
      kept.https.destroy();
    },
  };
}

/** A proxy that is asked over TLS is not supported: grpc-js knows none. */
function parseProxy(text: string): Proxy | undefined {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url?.protocol !== 'http:' || url.hostname === '' || url.pathname !== '/') return undefined;
  if (url.search !== '' || url.hash !== '') return undefined;
  const { username, password } = url;
  const given = decoded(`${username}:${password}`);
  if (given === undefined) return undefined;
  const authorization = `Basic ${Buffer.from(given).toString('base64')}`;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    authorization: username === '' ? undefined : authorization,
  };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function inEitherCase(env: Environment, name: string): string | undefined {
  return [env[name.toLowerCase()], env[name]].find((value) => value !== undefined && value !== '');
}

/** The channel's name is the target's, whatever it connects to: for TLS, and for what credentials are made out to. */
function channelBy(proxyOf: ProxyOf, address: string): Channel {
  const target = parseAddress(address);
  const proxy = target === undefined ? undefined : proxyOf(target);
  if (proxy === undefined) return straightTo(address);
  const { host, port, authorization } = proxy;
  const credentials = Buffer.from(authorization?.slice('Basic '.length) ?? '', 'base64').toString();
  return {
    address: `${urlHost(host)}:${port}`,
    options: {
      ...straightTo(address).options,
      'grpc.http_connect_target': `dns:${address}`,
      'grpc.default_authority': address.replace(/:443$/, ''),
      ...(authorization === undefined ? {} : { 'grpc.http_connect_creds': credentials }),
    },
  };
}

/** What only this machine can reach, and where clouds hand out a machine's credentials: no proxy must see that. */
const ALWAYS = ['localhost', '127.0.0.0/8', '[::1]', '169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32'];

function straightRule(rules: readonly string[]): (target: Address) => boolean {
  const tests = [...ALWAYS, 'metadata.google.internal', ...rules].map(ruleTest);
  return (target) => tests.some((test) => test(target));
}

/**
 * `*`; a name, that stands for itself and everything below it, with or without a dot or `*.` before; an IP address; a
 * CIDR. A name or address may end in a port.
 */
function ruleTest(rule: string): (target: Address) => boolean {
  if (rule === '*') return () => true;
  const range = rangeOf(rule);
  if (range !== undefined) return ({ host }) => isIP(host) > 0 && range.check(host, familyOf(host));
  const { host: named, port } = parseAddress(rule.replace(/^\*?\./, '')) ?? {
    host: rule.replace(/^\*?\.|^\[|\]$/g, ''),
    port: undefined,
  };
  const name = named.toLowerCase();
  return (target) => {
    const host = target.host.toLowerCase().replace(/\.$/, '');
    const fits = host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
    return fits && (port === undefined || port === target.port);
  };
}

function rangeOf(rule: string): BlockList | undefined {
  const [, network, bits] = /^([^/]+)\/(\d{1,3})$/.exec(rule) ?? [];
  if (network === undefined || isIP(network) === 0) return undefined;
  const list = new BlockList();
  try {
    list.addSubnet(network, Number(bits), familyOf(network));
  } catch {
    return undefined; // more bits than an address has: a rule that fits nothing
  }
  return list;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
