// Listening on this machine only, and finding a port for it.
import { randomInt } from 'node:crypto';
import type { Server } from 'node:net';
import { createServer } from 'node:net';

/** Both loopback addresses: browsers try either for `localhost`. */
const ADDRESSES = ['127.0.0.1', '::1'] as const;
const TRIES = 50;
/**
 * Below the ports that systems give to outgoing connections (Linux from 32,768, others from 49,152): a port of those
 * may be taken by any connection before it is listened on.
 */
const ANY_FROM = 20_000;
const ANY_BELOW = 32_768;

/** For a gRPC client of a server on this machine: a proxy that the environment names is for the way out only. */
export const DIRECT = { 'grpc.enable_http_proxy': 0 } as const;

/** Whether nothing listens on `port` of either loopback address. */
export async function isFree(port: number): Promise<boolean> {
  for (const address of ADDRESSES) if (!(await canListen(port, address))) return false;
  return true;
}

async function canListen(port: number, address: string): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'EADDRINUSE' && error.code !== 'EACCES');
    });
    server.listen({ port, host: address, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/**
 * The first free port from `preferred` upwards that is not in `taken`; with 0 any free one.
 *
 * @throws Error if there is none among the next 50.
 */
export async function choosePort(preferred: number, taken: ReadonlySet<number>): Promise<number> {
  if (preferred === 0) return await anyPort(taken);
  for (let port = preferred; port < preferred + TRIES && port < 65_536; port += 1)
    if (!taken.has(port) && (await isFree(port))) return port;
  throw new Error(`no port from ${preferred} to ${preferred + TRIES - 1} is free`);
}

async function anyPort(taken: ReadonlySet<number>): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(ANY_FROM, ANY_BELOW);
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new Error('no free port was found');
}

/** The port a server listens on. */
export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('the server does not listen on a port');
  return address.port;
}

/** Listens on `port` (0: any) of one address. */
export async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

interface Closable extends Server {
  closeAllConnections(): void;
}

export interface LoopbackListener {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on `port` (0: any) of 127.0.0.1, and on the same port of ::1 where that address exists and is free.
 * `makeServer` is called once an address.
 */
export async function listenOnLoopback(makeServer: () => Closable, port: number): Promise<LoopbackListener> {
  const first = makeServer();
  await listen(first, port, ADDRESSES[0]);
  const servers = [first];
  const second = makeServer();
  try {
    await listen(second, portOf(first), ADDRESSES[1]);
    servers.push(second);
  } catch {
    // without IPv6, browsers use 127.0.0.1
  }
  return {
    port: portOf(first),
    close: async () => {
      for (const server of servers) server.closeAllConnections();
      await Promise.all(servers.map(closed));
    },
  };
}

async function closed(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
