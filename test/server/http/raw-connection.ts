// A bare TCP connection that sends exactly the bytes it is told and keeps what comes back.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawConnection {
  readonly socket: Socket;
  send(text: string | Uint8Array): void;
  /** What has come so far. */
  received(): string;
  /** Resolves once `fits` what has come. */
  until(fits: (received: string) => boolean): Promise<string>;
  /** Resolves to all that came once the other side has closed. */
  closed(): Promise<string>;
  end(): void;
}

/** @param from - the address it comes from; all of 127.0.0.0/8 is this machine. */
export async function connectRaw(port: number, from = '127.0.0.1'): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  let received = '';
  let ended = false;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    ended = true;
  });
  await once(socket, 'connect');
  const more = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        socket.off('data', done).off('close', done);
        resolve();
      };
      socket.on('data', done).on('close', done);
    });
  const until = async (fits: (text: string) => boolean): Promise<string> => {
    while (!fits(received)) {
      if (ended) throw new Error(`the connection was closed after: ${received}`);
      await more();
    }
    return received;
  };
  return {
    socket,
    send: (text) => {
      socket.write(text);
    },
    received: () => received,
    until,
    closed: async () => {
      if (!ended) await new Promise((resolve) => socket.once('close', resolve)); // reset or not
      return received;
    },
    end: () => {
      socket.destroy();
    },
  };
}

/** The head of a POST; the caller adds a body or does not. */
export function head(path: string, headers: Record<string, string | readonly string[]>): string {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).map((one) => `${name}: ${one}`),
  );
  return [`POST ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

/** Statuses of the answers in what came back. */
export function statusesOf(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}
