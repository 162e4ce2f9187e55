// Agents of node:http and node:https whose connections go through a proxy where one is to be used.
import {
  Agent as HttpAgent,
  request as requestHttp,
  type AgentOptions,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { urlHost, type Address } from './reading/address.js';

export interface Proxy extends Address {
  /** Value of `Proxy-Authorization`; never logged. */
  readonly authorization: string | undefined;
}

/** The proxy on the way to an address; `undefined`: none. */
export type ProxyOf = (target: Address) => Proxy | undefined;

type Done = (error: Error | null, stream: Duplex) => void;

/** From the first packet to the proxy's answer: what connects straight has as long. */
const TUNNEL_MS = 2_000;

export class ProxiedHttpAgent extends HttpAgent {
  readonly #proxyOf: ProxyOf;

  constructor(proxyOf: ProxyOf, options: AgentOptions) {
    super(options);
    this.#proxyOf = proxyOf;
  }

  override createConnection(
    options: Parameters<HttpAgent['createConnection']>[0],
    done: Done,
  ): Duplex | null | undefined {
    const target = targetOf(options);
    const proxy = this.#proxyOf(target);
    if (proxy === undefined) return super.createConnection(options, done);
    openTunnel(proxy, target, done, (socket) => socket);
    return undefined;
  }
}

export class ProxiedHttpsAgent extends HttpsAgent {
  readonly #proxyOf: ProxyOf;

  constructor(proxyOf: ProxyOf, options: AgentOptions) {
    super(options);
    this.#proxyOf = proxyOf;
  }

  /** TLS is ours to the end: the proxy sees a name and ciphertext. */
  override createConnection(
    options: Parameters<HttpsAgent['createConnection']>[0],
    done: Done,
  ): Duplex | null | undefined {
    const target = targetOf(options);
    const proxy = this.#proxyOf(target);
    if (proxy === undefined) return super.createConnection(options, done);
    openTunnel(proxy, target, done, (socket) => {
      const through: typeof options & { readonly socket: Socket } = { ...options, socket };
      return super.createConnection(through);
    });
    return undefined;
  }
}

function targetOf({ host, port }: RequestOptions): Address {
  return { host: host ?? 'localhost', port: Number(port) };
}

/** RFC 9110 §9.3.6: any 2xx means that from here on every byte is the target's. */
function openTunnel(
  proxy: Proxy,
  target: Address,
  done: Done,
  over: (socket: Socket) => Duplex | null | undefined,
): void {
  const path = `${urlHost(target.host)}:${target.port}`;
  const authorization = proxy.authorization;
  const headers = {
    host: path,
    ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
  };
  const asking = requestHttp({
    method: 'CONNECT',
    host: proxy.host,
    port: proxy.port,
    path,
    headers,
    agent: false,
  });
  const timer = setTimeout(() => {
    asking.destroy(new Error(`the proxy did not open a connection to ${path} in time`));
  }, TUNNEL_MS);
  const fail = (error: Error): void => {
    clearTimeout(timer);
    // Node's types know no connection that failed.
    (done as (error: Error) => void)(error);
  };
  asking.once('error', fail);
  asking.once('connect', ({ statusCode = 0 }, socket: Socket, head) => {
    asking.off('error', fail);
    if (statusCode < 200 || statusCode > 299) {
      socket.destroy();
      fail(new Error(`the proxy answered ${statusCode} to a connection to ${path}`));
      return;
    }
    clearTimeout(timer);
    if (head.length > 0) socket.unshift(head);
    const stream = over(socket);
    if (stream === null || stream === undefined) fail(new Error(`no connection to ${path} could be made`));
    else done(null, stream);
  });
  asking.end();
}
