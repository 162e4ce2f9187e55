// An HTTP proxy that knows CONNECT alone, and where the names it is asked for really are.
import { once } from 'node:events';
import { createServer, STATUS_CODES } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Stoppable } from './spawn-part.js';

export interface ConnectProxy extends Stoppable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** `host:port` as asked for, in order, whatever became of it. */
  readonly asked: string[];
  /** `Proxy-Authorization` of each. */
  readonly authorizations: (string | undefined)[];
  /** Ports of this machine by `host:port`; any other is answered 502. */
  readonly places: Map<string, number>;
  /** A number is the status of each refusal; `silent` never answers, `cut` ends the connection. */
  conduct: 'pass' | 'silent' | 'cut' | number;
  /** Ends every connection that is open. */
  cutAll(): void;
}

export async function startConnectProxy(
  places: Readonly<Record<string, number>> = {},
): Promise<ConnectProxy> {
  const open = new Set<Duplex>();
  const keep = (socket: Duplex): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket)).on('error', () => socket.destroy());
  };
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on('connect', ({ url = '', headers }, socket, head) => {
    keep(socket);
    proxy.asked.push(url);
    proxy.authorizations.push(headers['proxy-authorization']);
    const port = proxy.places.get(url);
    if (proxy.conduct === 'silent') return;
    if (proxy.conduct === 'cut') socket.destroy();
    else if (proxy.conduct !== 'pass') refuse(socket, proxy.conduct);
    else if (port === undefined) refuse(socket, 502);
    else keep(tunnel(port, socket, head));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cutAll = (): void => {
    for (const socket of open) socket.destroy();
  };
  const proxy: ConnectProxy = {
    url: `http://127.0.0.1:${port}`,
    port,
    asked: [],
    authorizations: [],
    places: new Map(Object.entries(places)),
    conduct: 'pass',
    cutAll,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      cutAll();
      await once(server, 'close');
    },
  };
  return proxy;
}

function tunnel(port: number, socket: Duplex, head: Buffer): Socket {
  const onward = connect(port, '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) onward.write(head);
    onward.pipe(socket).pipe(onward);
  });
  onward.once('close', () => socket.destroy());
  socket.once('close', () => onward.destroy());
  return onward;
}

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Length: 0\r\n\r\n`);
}
