// Keeps every byte that clients and workers exchange with the Temporal server.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { keepStream } from '../streams.js';

export interface Wire {
  /** Where clients and workers connect. */
  readonly address: string;
  /** All bytes so far, in both directions. Only calls without TLS and compression can be read. */
  bytes(): Buffer;
  /** Ends the recording; the run searches it for planted texts. */
  close(): Promise<void>;
}

export async function recordWire(upstream: string): Promise<Wire> {
  const [host = '', port = ''] = upstream.split(':');
  const chunks: Buffer[][] = []; // one list a direction of a connection, so that no message is torn apart
  const sockets = new Set<Socket>();
  const keep = (from: Socket, to: Socket): void => {
    const direction: Buffer[] = [];
    chunks.push(direction);
    sockets.add(from);
    from.on('data', (chunk: Buffer) => direction.push(chunk));
    from.on('error', () => to.destroy());
    from.pipe(to);
  };
  const server = createServer((caller) => {
    const onward = connect(Number(port), host);
    keep(caller, onward);
    keep(onward, caller);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bytes = (): Buffer => Buffer.concat(chunks.flat());
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytes,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      keepStream('temporal-wire', bytes());
    },
  };
}
