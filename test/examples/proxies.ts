// What stands in front of Temporal Cloud, in front of the real dev server: a demand for a client certificate or a key.
import {
  connect as connectHttp2,
  constants,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Certificates } from '../../src/dev/certificates.js';
import type { Stoppable } from '../parts/spawn-part.js';

export interface Proxy extends Stoppable {
  /** `localhost:PORT`. */
  readonly address: string;
}

/** Ends TLS, demands a certificate that `clientCa` vouches for, and passes the bytes on. */
export async function demandCertificate(
  upstream: string,
  { cert, key }: Certificates,
  clientCa: string,
): Promise<Proxy> {
  const tls = { cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ['h2'] };
  const server = createServer(tls, (caller) => {
    const [host = '', port = ''] = upstream.split(':');
    const onward = connect(Number(port), host);
    caller.pipe(onward).pipe(caller);
    for (const socket of [caller, onward])
      socket.on('error', () => {
        caller.destroy();
        onward.destroy();
      });
  });
  server.on('tlsClientError', () => undefined); // refused: what this proxy is for
  return await listening(server);
}

/** Ends TLS, answers UNAUTHENTICATED without `Authorization: Bearer KEY`, and passes the calls on. */
export async function demandApiKey(
  upstream: string,
  { cert, key }: Certificates,
  apiKey: string,
): Promise<Proxy> {
  const onward = connectHttp2(`http://${upstream}`);
  const server = createSecureServer({ cert, key });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    if (headers.authorization === `Bearer ${apiKey}`) pass(stream, onward.request(headers));
    else
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': 16 },
        { endStream: true },
      );
  });
  const proxy = await listening(server);
  return {
    ...proxy,
    stop: async () => {
      onward.destroy();
      await proxy.stop();
    },
  };
}

/** One gRPC call: its messages both ways, and the trailers that carry its status. */
function pass(
  stream: ServerHttp2Stream,
  onward: ReturnType<ReturnType<typeof connectHttp2>['request']>,
): void {
  onward.on('error', () => undefined);
  stream.on('close', () => {
    onward.close();
  });
  onward.on('response', (headers, flags) => {
    if (stream.destroyed) return; // the caller gave up
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(headers, { endStream, waitForTrailers: !endStream });
    if (!endStream) onward.pipe(stream);
  });
  let trailers: IncomingHttpHeaders = {};
  onward.on('trailers', (received: IncomingHttpHeaders) => (trailers = received));
  stream.on('wantTrailers', () => {
    stream.sendTrailers(trailers);
  });
  stream.pipe(onward);
}

async function listening(server: Server): Promise<Proxy> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `localhost:${port}`,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
