// What a connection keeps that is idle: nothing of what it answered.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { bodyOf, ORDERS, plainPayload, startServer, TOKENS, type RunningServer } from '../running-server.js';
import { Connections, nameOf } from '../../../src/server/http/connections.js';
import { connectRaw, head, type RawConnection } from './raw-connection.js';

const CONNECTIONS = 10;
const MIB = 2 ** 20;
const PATIENT = { timeout: 15_000 };

let running: RunningServer | undefined;
const opened: RawConnection[] = [];
afterEach(async () => {
  for (const connection of opened.splice(0)) connection.end();
  await running?.stop();
  running = undefined;
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** MiB of buffers that are reachable. */
async function keptMib(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().arrayBuffers / MIB;
}

async function connected({ port }: RunningServer): Promise<RawConnection> {
  const raw = await connectRaw(port);
  opened.push(raw);
  return raw;
}

function headOf(body: string): string {
  const headers = { Host: 'x', 'Content-Type': 'application/json', 'X-Namespace': ORDERS };
  const more = { Authorization: `Bearer ${TOKENS.admin}`, 'Content-Length': String(body.length) };
  return head('/decode', { ...headers, ...more });
}

test('large payloads that were opened are gone once they were answered, though their connections stay', async () => {
  const server = (running = await startServer({
    entries: (key) => [
      { namespaces: [ORDERS], wrap: () => key, sharesKey: false, compress: { aboveBytes: 1_000 } },
    ],
  }));
  const numbers = Array.from({ length: MIB / 2 }, (_, index) => (index * 7919) % 1000);
  const text = numbers.join(' ').slice(0, MIB); // compresses, but not as a bomb does
  const payload = await server.cipher.seal(plainPayload(text), ORDERS);
  const body = bodyOf(...Array.from({ length: 8 }, () => payload));
  const before = await keptMib();
  for (let connection = 1; connection <= CONNECTIONS; connection += 1) {
    const raw = await connected(server);
    let bytes = 0;
    raw.socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
    raw.send(`${headOf(body)}${body}`);
    await expect.poll(() => bytes, PATIENT).toBeGreaterThan((8 * MIB * 4) / 3); // base64
  }
  expect(server.audit.events.map(({ payloads }) => payloads.opened)).toEqual(Array(CONNECTIONS).fill(8));
  await expect.poll(async () => (await keptMib()) - before, PATIENT).toBeLessThan(3 * CONNECTIONS);
});

test('a large body that came in pieces is gone too', async () => {
  const server = (running = await startServer());
  const body = `{}${' '.repeat(4 * MIB)}`;
  const before = await keptMib();
  for (let connection = 1; connection <= CONNECTIONS; connection += 1) {
    const raw = await connected(server);
    raw.send(`${headOf(body)}${body.slice(0, 1_000)}`);
    await expect.poll(() => server.authorizer.asked, PATIENT).toHaveLength(connection);
    raw.send(body.slice(1_000));
    await raw.until((text) => text.includes(' 200 '));
  }
  await expect.poll(async () => (await keptMib()) - before, PATIENT).toBeLessThan(CONNECTIONS);
});

test('nor does it keep the request that ended last, with its token', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const connections = new Connections();
  connections.opened(socket, undefined, { most: 10, ofStrangers: 10 });
  const name = nameOf(socket);
  const ended = (): WeakRef<object> => {
    const request = { answered: true, closes: false, connectionClosed: () => undefined };
    connections.began(name, request, 100);
    connections.ended(name, request);
    return new WeakRef(request);
  };
  const last = ended();
  await keptMib();
  expect(last.deref()).toBeUndefined();
  expect(connections.size).toBe(1);
  client.destroy();
  await once(server.close(), 'close');
});
