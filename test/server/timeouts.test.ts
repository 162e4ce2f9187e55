// strength.md §1: who sends no headers, no handshake, no body, or nothing any more, is not waited for.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeCertificates } from '../../src/dev/certificates.js';
import { createMetrics } from '../../src/server/telemetry/metrics.js';
import { connectRaw, head, statusesOf, type RawConnection } from './http/raw-connection.js';
import { ORDERS, startServer, TOKENS, type RunningServer } from './running-server.js';

/** What takes minutes, with KEYHOLE_FULL=1. */
function inFull(sentence: string, body: () => Promise<void>, timeoutMs?: number): void {
  if (process.env['KEYHOLE_FULL'] === '1') test(sentence, body, timeoutMs);
}
const POST = head('/decode', {
  Host: 'localhost',
  'Content-Type': 'application/json',
  'X-Namespace': ORDERS,
  Authorization: `Bearer ${TOKENS.admin}`,
  'Content-Length': '10',
});

let directory: string;
let plain: RunningServer;
let secure: RunningServer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-timeouts-'));
  const tls = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  const { cert, key } = await makeCertificates();
  await writeFile(tls.cert, cert);
  await writeFile(tls.key, key, { mode: 0o600 });
  plain = await startServer();
  secure = await startServer({ options: { tls } });
});
afterAll(async () => {
  await Promise.all([plain.stop(), secure.stop()]);
  await rm(directory, { recursive: true });
});

/** What came until the server closed the connection, which it did not do before the time. */
async function closedAfter(ms: number, raw: RawConnection): Promise<string> {
  const startedMs = performance.now();
  const received = await raw.closed();
  expect(performance.now() - startedMs).toBeGreaterThan(ms - 100);
  return received;
}

describe.concurrent('a connection', () => {
  test('whose headers do not end within 10 s is answered 408 and closed', async () => {
    const raw = await connectRaw(plain.port);
    raw.send(POST.slice(0, -2));
    const received = await closedAfter(10_000, raw);
    expect(statusesOf(received)).toEqual([408]);
    expect(received).toMatch(/x-request-id: /i);
  });

  test('on which nothing comes is closed after 10 s', async () => {
    const raw = await connectRaw(plain.port);
    expect(statusesOf(await closedAfter(10_000, raw)).filter((status) => status !== 408)).toEqual([]);
  });

  test('whose TLS handshake does not end within 10 s is closed', async () => {
    const raw = await connectRaw(secure.port);
    raw.send('\u0016\u0003\u0001');
    expect(await closedAfter(10_000, raw)).toBe('');
  });

  test('at the listener of metrics whose headers do not end within 5 s is closed', async () => {
    const metrics = createMetrics();
    const { port } = await metrics.listen({ host: '127.0.0.1', port: 0 });
    const raw = await connectRaw(port);
    raw.send('GET /health/live HTTP/1.1\r\nHost: ');
    expect(statusesOf(await closedAfter(5_000, raw))).toEqual([408]);
    await metrics.close();
  });

  inFull('whose body does not end within 30 s is answered 408 and closed, on record', async () => {
    const raw = await connectRaw(plain.port);
    raw.send(`${POST}{`);
    expect(statusesOf(await closedAfter(30_000, raw))).toEqual([408]);
    await vi.waitUntil(() => plain.audit.events.length > 0);
    expect(plain.audit.events).toMatchObject([{ outcome: 'caller_gone' }]);
  });

  inFull(
    'that rests is kept for 65 s, longer than the usual balancers keep theirs',
    async () => {
      const raw = await connectRaw(plain.port);
      raw.send('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
      expect(statusesOf(await closedAfter(65_000, raw))).toEqual([200]);
    },
    90_000,
  );
});
