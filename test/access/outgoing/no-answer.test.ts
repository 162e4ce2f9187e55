// A server that goes over to another protocol instead of answering: Node tells whoever asked neither answer nor error.
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchJson } from '../../../src/access/outgoing/fetch-json.js';
import { fetchTrusting } from '../../../src/access/outgoing/trusting-fetch.js';
import { makeCertificates } from '../../../src/dev/certificates.js';

let server: Server;
let ca: string;
let url: URL;
beforeAll(async () => {
  const certificates = await makeCertificates();
  ({ ca } = certificates);
  server = createServer({ cert: certificates.cert, key: certificates.key }, ({ socket }) => {
    socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
afterAll(async () => {
  server.closeAllConnections();
  await once(server.close(), 'close');
});

test('leaves no JSON fetch waiting', async () => {
  await expect(fetchJson(url, { ca, deadlineMs: 60_000, maxBytes: 1_000 })).rejects.toThrow('did not answer');
});

test('leaves no trusting fetch waiting', async () => {
  await expect(fetchTrusting(ca)(url)).rejects.toThrow('did not answer');
});
