// What is on record of requests on which nobody was known, and that no number of them keeps an admin out.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditLog } from '../../src/access/audit/audit-log.js';
import { openAuditFile } from '../../src/access/audit/file-audit-log.js';
import { verifyAudit } from '../../src/access/audit/verify.js';
import { createSecret } from '../../src/access/tokens/credentials.js';
import { MAX_PIPELINED, MAX_STRANGER_CONNECTIONS } from '../../src/server/limits.js';
import { filesOf, linesOf, WRITER } from '../access/audit/events.js';
import { plantSecret } from '../streams.js';
import { connectRaw, head, statusesOf, type RawConnection } from './http/raw-connection.js';
import {
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  TOKENS,
  UI,
  type RunningServer,
} from './running-server.js';

/** 20,000 with KEYHOLE_STRESS set, else a twentieth. */
const STRESS = process.env['KEYHOLE_STRESS'] !== undefined;
const REQUESTS = STRESS ? 20_000 : 1_000;
/** Of idle sockets there are a few more, from several addresses. */
const CONNECTIONS = STRESS ? 1_024 : 200;
/** Requests that strangers send on one connection, and at once. */
const ON_ONE = 40;
const AT_ONCE = 20;
const LIMITS = { connections: CONNECTIONS, callerBurst: 10_000, callerRequestsPerSecond: 10_000 };

/** Of a program, as `credential create` makes it. */
const SECRET = plantSecret(createSecret().secret);

let server: RunningServer;
afterEach(() => server.stop());

const JSON_BODY = { 'content-type': 'application/json' };
const TOKENLESS = head('/decode', { Host: 'a', 'X-Namespace': ORDERS, ...JSON_BODY, 'Content-Length': '0' });

describe('a request that is refused before anybody is known', () => {
  test.each<[code: string, status: number, path: string, options: Parameters<RunningServer['ask']>[1]]>([
    ['token_missing', 401, '/decode', { namespace: ORDERS }],
    ['token_invalid', 401, '/encode', { namespace: ORDERS, headers: { authorization: 'Bearer guessed' } }],
    ['namespace_invalid', 400, '/decode', { as: 'admin', namespace: 'a b' }],
    ['namespace_missing', 400, '/decode', { as: 'admin' }],
    ['origin_refused', 403, '/decode', { as: 'admin', headers: { origin: 'https://evil.example' } }],
    ['method_not_allowed', 405, '/decode', { as: 'admin', method: 'GET' }],
    ['not_found', 404, '/wp-login.php', { as: 'admin' }],
    ['content_type', 415, '/decode', { as: 'admin', namespace: ORDERS, headers: { 'content-type': 'a/b' } }],
  ])(
    'with %s is counted with its sentence, and has no record of its own',
    async (code, status, path, asked) => {
      server = await startServer();
      const answer = await server.ask(path, asked);
      expect(answer.status).toBe(status);
      await expect.poll(() => server.audit.strangers.length).toBe(1);
      const { error } = answer.json() as { error: { message: string; requestId: string } };
      expect(server.audit.strangers).toMatchObject([
        { code, status, message: error.message, requestId: error.requestId, address: '127.0.0.1' },
      ]);
      expect(server.audit.events).toEqual([]);
    },
  );

  test('with a header that came twice is counted, and so is one with too many of them', async () => {
    server = await startServer();
    const connection = await connectRaw(server.port);
    const twice = { Host: 'a', 'X-Namespace': [ORDERS, 'other'], 'Content-Length': '0' };
    connection.send(head('/decode', twice));
    await connection.until((text) => text.includes('requestId'));
    connection.send(
      head('/decode', { Host: 'a', 'Content-Length': '0', X: Array.from({ length: 120 }, String) }),
    );
    await connection.closed();
    await expect
      .poll(() => server.audit.strangers.map(({ code }) => code))
      .toEqual(['header_repeated', 'too_many_headers']);
  });

  test('since it is no HTTP is counted too', async () => {
    server = await startServer({ limits: { headerBytes: 4_096 } });
    const broken = await connectRaw(server.port);
    broken.send('POST /decode HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n');
    await broken.closed();
    const large = await connectRaw(server.port);
    large.send(head('/decode', { Host: 'a', X: 'x'.repeat(8_192) }));
    await large.closed();
    expect(server.audit.strangers).toMatchObject([
      { code: 'malformed', status: 400, address: '127.0.0.1', route: 'other' },
      { code: 'malformed', status: 431 },
    ]);
    const [answered] = server.audit.strangers;
    expect(broken.received()).toContain(`X-Request-Id: ${answered?.requestId ?? 'none'}`);
  });

  test('and answered with a notice is counted by its code', async () => {
    server = await startServer({ options: { denied: 'notice' } });
    const sealed = await server.cipher.seal(plainPayload('text'), ORDERS);
    const headers = { origin: UI };
    const answer = await server.ask('/decode', { namespace: ORDERS, headers, body: bodyOf(sealed) });
    expect(answer.status).toBe(200);
    await expect.poll(() => server.audit.strangers.length).toBe(1);
    expect(server.audit.strangers).toMatchObject([
      { code: 'token_missing', status: 200, message: 'you are not signed in' },
    ]);
  });

  test('names the namespace that the path or the header did', async () => {
    server = await startServer();
    await server.ask('/orders.a1b2c/decode');
    await server.ask('/decode', { namespace: 'billing.a1b2c' });
    await expect
      .poll(() => server.audit.strangers.map(({ namespace }) => namespace))
      .toEqual(['orders.a1b2c', 'billing.a1b2c']);
  });

  test('names no namespace where none can be meant: a token in its place is not put on record', async () => {
    server = await startServer();
    await server.ask('/decode', { namespace: `Bearer ${TOKENS.admin}` });
    await server.ask(`/${TOKENS.admin}/decode`);
    await server.ask('/decode', { namespace: SECRET });
    await expect
      .poll(() => server.audit.strangers.map(({ namespace }) => namespace))
      .toEqual([undefined, undefined, undefined]);
  });

  test('a credential in the place of a namespace is no namespace, and not told to anybody', async () => {
    server = await startServer();
    const answer = await server.ask(`/${SECRET}/decode`, { as: 'admin' });
    expect([answer.status, answer.code()]).toEqual([400, 'namespace_invalid']);
    expect(`${answer.body.toString()}${JSON.stringify(server.audit.events)}`).not.toContain(SECRET);
  });

  test('came from where a trusted proxy says', async () => {
    server = await startServer({ options: { trustedProxies: ['127.0.0.1'] } });
    await server.ask('/decode', { namespace: ORDERS, headers: { 'x-forwarded-for': '203.0.113.9' } });
    await expect.poll(() => server.audit.strangers.map(({ address }) => address)).toEqual(['203.0.113.9']);
  });

  test.each([
    ['198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['198.51.100.1,203.0.113.9 , 127.0.0.2', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['127.0.0.3, 127.0.0.2', '127.0.0.3'],
    ['203.0.113.9, somebody', '127.0.0.1'],
    ['203.0.113.9,', '127.0.0.1'],
    [',,,,', '127.0.0.1'],
  ])('came, of the hops %j, from %s: the last one that is no trusted proxy', async (hops, from) => {
    server = await startServer({ options: { trustedProxies: ['127.0.0.0/8'] } });
    await server.ask('/decode', { namespace: ORDERS, headers: { 'x-forwarded-for': hops } });
    await expect.poll(() => server.audit.strangers.map(({ address }) => address)).toEqual([from]);
  });
});

test('who is known, a preflight and a question about health are not counted among strangers', async () => {
  server = await startServer();
  const sealed = await server.cipher.seal(plainPayload('text'), ORDERS);
  await server.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(sealed) });
  await server.ask('/decode', { as: 'reader', namespace: ORDERS, body: bodyOf(sealed) });
  server.audit.failure = new Error('full');
  await server.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(sealed) });
  await server.ask('/decode', { method: 'OPTIONS', headers: { origin: UI, ...JSON_BODY } });
  server.authenticator.isReady = false;
  await server.ask('/health/ready', { method: 'GET' });
  await server.ask('/decode', { namespace: ORDERS });
  await expect.poll(() => server.audit.strangers.map(({ code }) => code)).toEqual(['token_missing']);
});

test('who pipelines on as many connections as one address may have keeps nobody out', async () => {
  server = await startServer();
  let left = MAX_STRANGER_CONNECTIONS;
  let asked = true;
  const pipelining = async (): Promise<void> => {
    const connection = await connectRaw(server.port, '127.0.0.2');
    left -= 1;
    for (let answers = MAX_PIPELINED; asked; answers += MAX_PIPELINED) {
      connection.send(TOKENLESS.repeat(MAX_PIPELINED));
      await connection.until((text) => statusesOf(text).length === answers);
    }
    connection.end();
  };
  const flood = Array.from({ length: MAX_STRANGER_CONNECTIONS }, pipelining);
  await expect.poll(() => left).toBe(0);
  const statuses: number[] = [];
  for (let i = 0; i < 20; i += 1)
    statuses.push((await server.ask('/decode', { as: 'admin', namespace: ORDERS })).status);
  asked = false;
  await Promise.all(flood);
  expect(new Set(statuses)).toEqual(new Set([200]));
});

describe('a record on a disk of 2 MiB', () => {
  let directory: string;
  let path: string;
  let log: AuditLog;
  beforeEach(async (context) => {
    if (process.getuid?.() !== 0) context.skip('needs root, to mount a small tmpfs');
    directory = await mkdtemp(join(tmpdir(), 'keyhole-small-disk-'));
    const mounted = join(directory, 'disk');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mounted]);
    path = join(mounted, 'audit.ndjson');
    log = await openAuditFile(path, { writer: WRITER, strangersMs: 10 });
    server = await startServer({ parts: { audit: log }, limits: LIMITS });
    return async () => {
      await log.close();
      execFileSync('umount', [mounted]);
      await rm(directory, { recursive: true });
    };
  });

  async function idle(): Promise<RawConnection[]> {
    const connections: RawConnection[] = [];
    for (let index = 0; index < CONNECTIONS + 50; index += 1)
      connections.push(await connectRaw(server.port, `127.0.0.${10 + (index % 20)}`));
    return connections;
  }

  async function strangers(): Promise<void> {
    for (let sent = 0; sent < REQUESTS; sent += ON_ONE) {
      const connection = await connectRaw(server.port);
      for (let answers = AT_ONCE; answers <= ON_ONE; answers += AT_ONCE) {
        connection.send(TOKENLESS.repeat(AT_ONCE));
        await connection.until((text) => statusesOf(text).length === answers);
      }
      expect(new Set(statusesOf(connection.received()))).toEqual(new Set([401]));
      connection.end();
    }
  }

  async function admin(): Promise<number> {
    const sealed = await server.cipher.seal(plainPayload('text'), ORDERS);
    const answer = await server.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(sealed) });
    return answer.status;
  }

  test('outlives strangers without a token and idle sockets up to the cap: an admin is served within 2 s, on record', async () => {
    const connections = await idle();
    await strangers();
    const began = performance.now();
    expect(await admin()).toBe(200);
    expect(performance.now() - began).toBeLessThan(2_000);
    for (const connection of connections) connection.end();
    await log.close();
    const lines = await linesOf(path);
    expect(
      lines.filter(({ status_code }) => status_code === 'ok').map(({ unmapped }) => unmapped.type),
    ).toEqual(['start', 'request']);
    const counts = lines.flatMap(({ unmapped, count = 0 }) => (unmapped.type === 'refusals' ? [count] : []));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(REQUESTS);
    expect((await verifyAudit(await filesOf(path))).mistakes).toEqual([]);
  });

  test('is not filled by somebody known who is refused: what is allowed goes on after they are told so', async () => {
    let status = 403;
    for (let count = 0; count < 5_000 && status === 403; count += 50) {
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => server.ask('/decode', { as: 'reader', namespace: ORDERS })),
      );
      status = answers.at(-1)?.status ?? 0;
    }
    expect(status).toBe(503);
    expect(await admin()).toBe(200);
  });
});
