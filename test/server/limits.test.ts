// What one server takes on: places, waiting, bytes held, one caller's share, open connections.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Principal } from '../../src/access/principal.js';
import { isKeyholeError } from '../../src/errors.js';
import { Admission } from '../../src/server/admission.js';
import { CallerBudgets } from '../../src/server/caller-budgets.js';
import { ANSWER_TIMEOUT_MS, DEFAULT_LIMITS, LIMIT_BOUNDS, type Limits } from '../../src/server/limits.js';
import {
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  TOKENS,
  UI,
  type Answer,
  type RunningServer,
} from './running-server.js';
import { connectRaw, head, statusesOf } from './raw-connection.js';

let running: RunningServer | undefined;

afterEach(async () => {
  vi.useRealTimers();
  await running?.stop();
  running = undefined;
});

async function start(limits: Partial<Limits>): Promise<RunningServer> {
  running = await startServer({ limits });
  return running;
}

const post = (server: RunningServer, body = '{}'): Promise<Answer> =>
  server.ask('/decode', { as: 'admin', namespace: ORDERS, body });

const HEADERS = {
  Host: 'localhost',
  'Content-Type': 'application/json',
  'X-Namespace': ORDERS,
  Authorization: `Bearer ${TOKENS.admin}`,
};

function codeThrownBy(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return isKeyholeError(error) ? error.code : 'untyped';
  }
}

test('every default is within its bounds', () => {
  for (const [name, { least, most }] of Object.entries(LIMIT_BOUNDS)) {
    const value = DEFAULT_LIMITS[name as keyof Limits];
    expect(value).toBeGreaterThanOrEqual(least);
    expect(value).toBeLessThanOrEqual(most);
  }
});

describe('requests in flight', () => {
  test('beyond the places wait for one, beyond the waiting are 503 with Retry-After: 1', async () => {
    const server = await start({ concurrency: 2, waiting: 1 });
    let open: (() => void) | undefined;
    server.authorizer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = [post(server), post(server)];
    await expect.poll(() => server.authorizer.asked.length).toBe(2);
    const waiting = post(server);
    const refused = await Promise.race([waiting, post(server)]);
    expect([refused.status, refused.code(), refused.headers['retry-after']]).toEqual([
      503,
      'overloaded',
      '1',
    ]);
    expect(server.authorizer.asked).toHaveLength(2);
    open?.();
    const answers = await Promise.all([...first, waiting]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('leave their place free, however they ended', async () => {
    const server = await start({ concurrency: 1, waiting: 0 });
    for (const [path, as] of [
      ['/decode', 'admin'],
      ['/decode', 'reader'],
      ['/download', 'admin'],
      ['/encode', undefined],
    ] as const) {
      await expect
        .poll(async () => (await server.ask(path, { namespace: ORDERS, ...(as && { as }) })).status)
        .not.toBe(503);
    }
    const gone = await connectRaw(server.port);
    gone.send(head('/decode', { ...HEADERS, 'Content-Length': '10' }));
    await expect.poll(() => server.authorizer.asked.length).toBeGreaterThan(3);
    expect((await post(server)).status).toBe(503);
    gone.end();
    await expect.poll(async () => (await post(server)).status).toBe(200);
  });

  test('leave no place taken where the caller went away while waiting for one', async () => {
    const server = await start({ concurrency: 1, waiting: 1 });
    let open: (() => void) | undefined;
    server.authorizer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = post(server);
    await expect.poll(() => server.authorizer.asked.length).toBe(1);
    const gone = await connectRaw(server.port);
    gone.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`);
    await expect.poll(async () => (await post(server)).status).toBe(503); // it waits in the only place to wait
    gone.end();
    await expect.poll(server.log).toContain('"aborted":true');
    open?.();
    expect((await first).status).toBe(200);
    expect((await post(server)).status).toBe(200);
  });

  test.each([
    ['notice', { Authorization: [] as string[], Origin: UI }, 'token_missing'],
    ['encrypted', { Authorization: `Bearer ${TOKENS.reader}` }, 'role_missing'],
  ] as const)(
    'of the refused, whose bodies come slowly, take a quarter of the places (denied: %s)',
    async (denied, headers, code) => {
      running = await startServer({ options: { denied }, limits: { concurrency: 4, waiting: 0 } });
      const server = running;
      const slow = await connectRaw(server.port);
      slow.send(head('/decode', { ...HEADERS, ...headers, 'Content-Length': '2', Expect: '100-continue' }));
      await slow.until((text) => text.includes('100 Continue'));
      const next = await connectRaw(server.port);
      next.send(`${head('/decode', { ...HEADERS, ...headers, 'Content-Length': '2' })}{}`);
      expect(await next.until((text) => text.includes('requestId'))).toContain(code);
      expect((await post(server)).status).toBe(200);
      slow.send('{}');
      expect(await slow.until((text) => text.includes('payloads'))).toContain('HTTP/1.1 200');
      next.send(`${head('/decode', { ...HEADERS, ...headers, 'Content-Length': '2' })}{}`);
      await next.until((text) => text.includes('payloads'));
      slow.end();
      next.end();
    },
  );

  test('take no place while their answers are not taken', async () => {
    const server = await start({ concurrency: 8, waiting: 0 });
    const stranger = await connectRaw(server.port);
    stranger.socket.pause();
    const refused = head('/decode', {
      Host: 'x',
      'X-Namespace': 'a',
      'Content-Type': 'application/json',
      'Content-Length': '0',
    });
    const isFull = (): boolean => !stranger.socket.write(refused.repeat(500));
    await expect.poll(isFull, { timeout: 10_000 }).toBe(true);
    await expect
      .poll(() => (isFull(), stranger.socket.writableLength), { timeout: 10_000 })
      .toBeGreaterThan(1 << 20);
    expect((await post(server)).status).toBe(200);
    stranger.end();
  });

  test('do not count what needs nothing: health, preflights, what is not found', async () => {
    const server = await start({ concurrency: 1, waiting: 0 });
    let open: (() => void) | undefined;
    server.authorizer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const inFlight = post(server);
    await expect.poll(() => server.authorizer.asked.length).toBe(1);
    expect((await server.ask('/health/ready', { method: 'GET' })).status).toBe(200);
    expect((await server.ask('/decode', { method: 'OPTIONS' })).status).toBe(204);
    expect((await server.ask('/nothing')).status).toBe(404);
    open?.();
    expect((await inFlight).status).toBe(200);
  });

  test('wait for a second at most', async () => {
    vi.useFakeTimers();
    const admission = new Admission();
    const limits = { ...DEFAULT_LIMITS, concurrency: 1, waiting: 2 };
    let end: (() => void) | undefined;
    const first = admission.during(limits, () => new Promise<void>((resolve) => (end = resolve)));
    const late = admission.during(limits, () => Promise.resolve()).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await late).toMatchObject({ code: 'overloaded' });
    const next = admission.during(limits, () => Promise.reject(new Error('it failed')));
    end?.();
    await first;
    await expect(next).rejects.toThrow('it failed');
    expect(await admission.during(limits, () => Promise.resolve('free again'))).toBe('free again');
  });
});

describe('body bytes held', () => {
  test('by all requests together are bounded, and let go again', async () => {
    const server = await start({ heldBytes: 1024 * 1024, bodyBytes: 1024 * 1024 });
    const holder = await connectRaw(server.port);
    holder.send(head('/decode', { ...HEADERS, 'Content-Length': '900000' }));
    holder.send(' '.repeat(800_000));
    const body = '{}'.padEnd(300_000);
    await expect.poll(async () => (await post(server, body)).code()).toBe('overloaded');
    holder.end();
    await expect.poll(async () => (await post(server, body)).status).toBe(200);
  });

  test('are let go again where the connection closed before the answer had its turn', async () => {
    const server = await start({ heldBytes: 1024 * 1024, bodyBytes: 1024 * 1024 });
    let open: (() => void) | undefined;
    server.authorizer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const pipelining = await connectRaw(server.port);
    pipelining.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`);
    await expect.poll(() => server.authorizer.asked.length).toBe(1);
    server.authorizer.gate = undefined;
    const large = '{}'.padEnd(900_000);
    pipelining.send(head('/decode', { ...HEADERS, 'Content-Length': String(large.length) }) + large);
    await expect.poll(() => server.audit.events.length).toBe(1);
    pipelining.end();
    await expect.poll(() => server.log().match(/"aborted":true/g)?.length).toBe(2);
    open?.();
    expect((await post(server, large)).status).toBe(200);
  });
});

test('an answer that is not taken in time ends the connection', async () => {
  const server = await start({});
  const reader = await connectRaw(server.port);
  reader.socket.pause();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const body = bodyOf(plainPayload('x'.repeat(3_000_000)), plainPayload('y'.repeat(3_000_000)));
  const one = head('/decode', { ...HEADERS, 'Content-Length': String(body.length) }) + body;
  for (let sent = 0; sent < 3; sent += 1) reader.send(one); // more than the sockets' buffers take
  await vi.waitUntil(() => server.audit.events.length > 1, { timeout: 10_000 });
  await vi.advanceTimersByTimeAsync(ANSWER_TIMEOUT_MS / 2);
  expect(server.log()).not.toContain('"aborted":true');
  await vi.advanceTimersByTimeAsync(ANSWER_TIMEOUT_MS / 2);
  vi.useRealTimers();
  await expect.poll(server.log).toContain('"aborted":true');
  reader.end();
});

describe('one caller', () => {
  const who = (subject: string): Principal => ({
    subject,
    issuer: 'i',
    email: undefined,
    method: 'bearer',
    expiresAtMs: 0,
  });
  const limits: Limits = {
    ...DEFAULT_LIMITS,
    callerBurst: 10,
    callerRequestsPerSecond: 2,
    callerPayloadsPerMinute: 60,
  };
  let nowMs = 0;
  let budgets: CallerBudgets;

  beforeEach(() => {
    nowMs = 1_000;
    budgets = new CallerBudgets({ monotonic: () => nowMs });
  });

  const take = (subject = 'a'): number | string | undefined => {
    try {
      return budgets.takeRequest(who(subject), limits);
    } catch (error) {
      return isKeyholeError(error) ? error.code : 'untyped';
    }
  };

  test('may send a burst at once, waits up to a second beyond it, and is then refused', () => {
    expect(Array.from({ length: 10 }, () => take())).toEqual(Array.from({ length: 10 }, () => 0));
    expect([take(), take(), take()]).toEqual([500, 1_000, 'rate_limited']);
    expect(take('b')).toBe(0);
    nowMs += 1_000;
    expect([take(), take(), take()]).toEqual([500, 1_000, 'rate_limited']);
    nowMs += 60_000;
    expect(take()).toBe(0);
  });

  test('may send so many payloads a minute, and is told how long to wait', () => {
    budgets.takePayloads(who('a'), 60, limits);
    expect(
      codeThrownBy(() => {
        budgets.takePayloads(who('a'), 1, limits);
      }),
    ).toBe('rate_limited');
    budgets.takePayloads(who('b'), 60, limits);
    nowMs += 10_000;
    budgets.takePayloads(who('a'), 10, limits);
    expect(
      codeThrownBy(() => {
        budgets.takePayloads(who('a'), 1, limits);
      }),
    ).toBe('rate_limited');
  });

  test('is forgotten once 10,000 others have come', () => {
    for (let i = 0; i < 12; i += 1) take();
    expect(take()).toBe('rate_limited');
    for (let i = 0; i < 10_000; i += 1) take(`other ${i}`);
    expect(take()).toBe(0);
  });

  test('beyond the rate is a 429 with Retry-After, on record; others are not held up', async () => {
    const server = await start({ callerBurst: 1, callerRequestsPerSecond: 1, callerPayloadsPerMinute: 2 });
    expect((await post(server)).status).toBe(200);
    const answers = await Promise.all([post(server), post(server), post(server)]);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.code()).toBe('rate_limited');
    expect(Number(refused[0]?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(server.audit.events.filter(({ outcome }) => outcome === 'rate_limited')).toHaveLength(
      refused.length,
    );
    expect((await server.ask('/encode', { as: 'writer', namespace: ORDERS })).status).toBe(200);
  });

  test('beyond the payloads is a 429 as well', async () => {
    const server = await start({ callerPayloadsPerMinute: 2 });
    const two = bodyOf(plainPayload('a'), plainPayload('b'));
    expect((await post(server, two)).status).toBe(200);
    expect((await post(server, two)).code()).toBe('rate_limited');
  });
});

describe('open connections', () => {
  test('at the cap, the one goes that has been longest without a request', async () => {
    const server = await start({ connections: 3 });
    const oldest = await connectRaw(server.port);
    const busy = await connectRaw(server.port);
    busy.send(head('/decode', { ...HEADERS, 'Content-Length': '10' }));
    await expect.poll(() => server.authorizer.asked.length).toBe(1);
    const used = await connectRaw(server.port);
    used.send(head('/nothing', { ...HEADERS, 'Content-Length': '0' }));
    await used.until((text) => text.endsWith('}}'));
    expect((await server.ask('/health/live', { method: 'GET' })).status).toBe(200);
    expect(await oldest.closed()).toBe('');
    busy.send(`${' '.repeat(8)}{}`);
    expect(statusesOf(await busy.until((text) => text.includes('"payloads"')))).toEqual([200]);
    busy.end();
    used.end();
  });
});
