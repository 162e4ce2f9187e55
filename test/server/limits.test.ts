// What one server takes on: places, waiting, bytes held, one caller's share, open connections.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Principal } from '../../src/access/principal.js';
import { isKeyholeError, KeyholeError } from '../../src/errors.js';
import { Admission } from '../../src/server/admission/admission.js';
import { CallerBudgets } from '../../src/server/admission/caller-budgets.js';
import { shareOf } from '../../src/server/admission/share.js';
import { strangerFrom, trustedAddresses } from '../../src/server/http/client-address.js';
import {
  ANSWER_TIMEOUT_MS,
  DEFAULT_LIMITS,
  LIMIT_BOUNDS,
  MAX_PIPELINED,
  type Limits,
} from '../../src/server/limits.js';
import { createMetrics, type Levels } from '../../src/server/telemetry/metrics.js';
import { connectRaw, head, statusesOf, type RawConnection } from './http/raw-connection.js';
import {
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  TableAuthorizer,
  TOKENS,
  UI,
  type Answer,
  type Person,
  type RunningServer,
} from './running-server.js';

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

/** With what its metrics would tell of it. */
async function startWatched(
  limits: Partial<Limits>,
): Promise<{ server: RunningServer; levels: () => Levels | undefined }> {
  const metrics = createMetrics();
  const told = vi.spyOn(metrics, 'levels');
  running = await startServer({ limits, metrics });
  return { server: running, levels: () => told.mock.calls[0]?.[0]() };
}

const post = (server: RunningServer, body = '{}'): Promise<Answer> =>
  server.ask('/decode', { as: 'admin', namespace: ORDERS, body });

const ADMIN: Principal = {
  subject: 'auth0|admin',
  issuer: 'https://idp.example/',
  email: 'admin@example.com',
  method: 'bearer',
  expiresAtMs: Number.MAX_SAFE_INTEGER,
};

const HEADERS = {
  Host: 'localhost',
  'Content-Type': 'application/json',
  'X-Namespace': ORDERS,
  Authorization: `Bearer ${TOKENS.admin}`,
};

/** One whose answer has begun, is larger than the sockets' buffers, and is not read any further. */
async function connectUntaken(server: RunningServer): Promise<RawConnection> {
  const body = bodyOf(...['x', 'y', 'z'].map((text) => plainPayload(text.repeat(1_900_000))));
  const raw = await connectRaw(server.port);
  raw.send(head('/decode', { ...HEADERS, 'Content-Length': String(body.length) }) + body);
  await raw.until((text) => text.includes('HTTP/1.1 200'));
  raw.socket.pause();
  return raw;
}

/** One that has been told to send its body, and does not, or was refused. */
async function slowly(
  { port }: RunningServer,
  as: Person,
  path = '/encode',
  bytes = 2,
): Promise<RawConnection> {
  const raw = await connectRaw(port);
  const headers = { ...HEADERS, Authorization: `Bearer ${TOKENS[as]}` };
  raw.send(head(path, { ...headers, 'Content-Length': String(bytes), Expect: '100-continue' }));
  await raw.until((text) => /100 Continue|requestId/.test(text));
  return raw;
}

/** Needs a place, but no body: 403, or 503 where there is none. */
async function reader(server: RunningServer): Promise<number> {
  return (await server.ask('/decode', { as: 'reader', namespace: ORDERS, body: '{}' })).status;
}

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
      next.send(head('/decode', { ...HEADERS, ...headers, 'Content-Length': '2' }));
      expect(await next.until((text) => text.includes('requestId'))).toContain(code);
      expect((await post(server)).status).toBe(200);
      slow.send('{}');
      expect(await slow.until((text) => text.includes('payloads'))).toContain('HTTP/1.1 200');
      const later = await connectRaw(server.port);
      later.send(`${head('/decode', { ...HEADERS, ...headers, 'Content-Length': '2' })}{}`);
      await later.until((text) => text.includes('payloads'));
      for (const connection of [slow, next, later]) connection.end();
    },
  );

  test('of strangers, whose bodies come slowly, keep nobody known from being told what is missing', async () => {
    running = await startServer({ options: { denied: 'notice' }, limits: { concurrency: 4, waiting: 0 } });
    const { port } = running;
    const asking = { ...HEADERS, Origin: UI, 'Content-Length': '2', Expect: '100-continue' };
    const [stranger, another, reader] = await Promise.all([1, 2, 3].map(() => connectRaw(port)));
    stranger?.send(head('/decode', { ...asking, Authorization: [] }));
    await stranger?.until((text) => text.includes('100 Continue'));
    another?.send(head('/decode', { ...asking, Authorization: [] }));
    expect(await another?.until((text) => text.includes('requestId'))).toContain('token_missing');
    reader?.send(head('/decode', { ...asking, Authorization: `Bearer ${TOKENS.reader}` }));
    await reader?.until((text) => text.includes('100 Continue'));
    reader?.send('{}');
    expect(await reader?.until((text) => text.includes('payloads'))).toContain('HTTP/1.1 200');
    for (const connection of [stranger, another, reader]) connection?.end();
  });

  test('of one caller, whose bodies come slowly, take a quarter of the places; more wait for one a second', async () => {
    const server = await start({ concurrency: 8, waiting: 0 });
    const slow = [await slowly(server, 'admin'), await slowly(server, 'admin')];
    const third = await slowly(server, 'admin');
    expect(third.received()).toMatch(/^HTTP\/1.1 429 [^]*retry-after: 1\r\n[^]*rate_limited/i);
    expect(server.audit.events).toMatchObject([{ status: 429, outcome: 'rate_limited' }]);
    const others = [await slowly(server, 'writer'), await slowly(server, 'writer')];
    const waiting = slowly(server, 'admin');
    for (const raw of [...slow, ...others]) {
      raw.send('{}');
      expect(statusesOf(await raw.until((text) => text.includes('payloads')))).toEqual([100, 200]);
    }
    expect((await waiting).received()).toContain('100 Continue');
    for (const raw of [...slow, ...others, third, await waiting]) raw.end();
  });

  test('whose bodies are slow to come lend their places to others, and have one again for the answer', async () => {
    const server = await start({ concurrency: 2, waiting: 0 });
    const slow = [await slowly(server, 'admin'), await slowly(server, 'writer')];
    expect(await reader(server)).toBe(503);
    await expect.poll(() => reader(server)).toBe(403);
    for (const raw of slow) {
      raw.send('{}');
      expect(statusesOf(await raw.until((text) => text.includes('payloads')))).toEqual([100, 200]);
      raw.end();
    }
  });

  test('whose place is not free again within a second when their slow body is there are refused, on record', async () => {
    const server = await start({ concurrency: 1, waiting: 0 });
    const slow = await slowly(server, 'writer');
    await expect.poll(() => reader(server)).toBe(403);
    server.authorizer.gate = new Promise(() => undefined);
    void post(server).catch(() => undefined);
    await expect.poll(() => server.authorizer.asked.length).toBe(3);
    slow.send('{}');
    expect(statusesOf(await slow.until((text) => text.includes('requestId')))).toEqual([100, 503]);
    expect(server.audit.events.at(-1)).toMatchObject({ action: 'encode', outcome: 'overloaded' });
    slow.end();
  });

  test('whose caller goes away while their slow body waits for a place are not carried out', async () => {
    const { server, levels } = await startWatched({ concurrency: 1, waiting: 0 });
    const slow = await slowly(server, 'writer');
    await expect.poll(() => reader(server)).toBe(403);
    let open: (() => void) | undefined;
    server.authorizer.gate = new Promise((resolve) => (open = resolve));
    const other = post(server);
    await expect.poll(() => levels()?.inFlight).toBe(1);
    slow.send('{}');
    await expect.poll(() => levels()?.waiting).toBe(1);
    slow.end();
    await expect.poll(() => levels()?.connections).toBe(1);
    open?.();
    expect((await other).status).toBe(200);
    await expect
      .poll(() => server.audit.events.map(({ outcome }) => outcome).sort())
      .toEqual(['caller_gone', 'ok', 'role_missing']);
  });

  describe.each([
    ['error', [100, 403]],
    ['encrypted', [100, 200]],
  ] as const)('whose bodies are slow to come (denied: %s)', (denied, statuses) => {
    const CLOSED = bodyOf({
      metadata: { encoding: Buffer.from('binary/encrypted') },
      data: Buffer.from('x'),
    });

    async function sentLate(meanwhile: (server: RunningServer) => void): Promise<string> {
      running = await startServer({ options: { denied }, limits: { concurrency: 1, waiting: 0 } });
      const server = running;
      const slow = await slowly(server, 'admin', '/decode', CLOSED.length);
      await expect.poll(() => reader(server)).not.toBe(503);
      meanwhile(server);
      slow.send(CLOSED);
      const text = await slow.until((all) => /requestId|payloads/.test(all));
      slow.end();
      return text;
    }

    test.each<[string, (server: RunningServer) => void]>([
      ['the right was taken', (server) => server.authorizer.closed.add(ORDERS)],
      [
        'a reload took the right',
        (server) => {
          const authorizer = new TableAuthorizer();
          authorizer.closed.add(ORDERS);
          server.server.reload({ ...server.parts, authorizer });
        },
      ],
    ])('open nothing where %s meanwhile, and that is on record', async (_what, meanwhile) => {
      expect(statusesOf(await sentLate(meanwhile))).toEqual(statuses);
      const record = running?.audit.events.at(-1);
      expect(record).toMatchObject({ outcome: 'role_missing', why: undefined, payloads: { refused: 1 } });
    });
  });

  test('whose bodies are slow to come are refused where the sign-in expired meanwhile, on record', async () => {
    const server = await start({ concurrency: 1, waiting: 0 });
    server.authenticator.expiresAtMs = Date.now() - 5_001; // it was good when it was verified: clocks may differ by 5 s
    const slow = await slowly(server, 'admin', '/decode');
    await expect.poll(() => reader(server)).toBe(403);
    slow.send('{}');
    expect(await slow.until((text) => text.includes('requestId'))).toMatch(/ 401 [^]*token_expired/);
    expect(server.audit.events.at(-1)).toMatchObject({
      status: 401,
      outcome: 'token_expired',
      why: undefined,
    });
    slow.end();
  });

  test.each<[string, (server: RunningServer) => void]>([
    [
      'what they came with counts no more',
      ({ authenticator }) => {
        authenticator.failure = new KeyholeError('token_invalid', 'the credential is not known here');
      },
    ],
    [
      'a reload gave them another e-mail',
      (server) => {
        const authenticate = (): Promise<Principal> =>
          Promise.resolve({ ...ADMIN, email: 'another@example.com' });
        server.server.reload({ ...server.parts, authenticator: { authenticate, ready: () => true } });
      },
    ],
    [
      'a reload made it somebody else’s',
      (server) => {
        const authenticate = (): Promise<Principal> =>
          Promise.resolve({ ...ADMIN, issuer: 'https://another.example/' });
        server.server.reload({ ...server.parts, authenticator: { authenticate, ready: () => true } });
      },
    ],
  ])('whose bodies are slow to come are refused where %s', async (_what, meanwhile) => {
    const server = await start({ concurrency: 1, waiting: 0 });
    const slow = await slowly(server, 'admin', '/decode');
    await expect.poll(() => reader(server)).toBe(403);
    meanwhile(server);
    slow.send('{}');
    expect(await slow.until((text) => text.includes('requestId'))).toMatch(/ 401 [^]*token_expired/);
    expect(server.audit.events.at(-1)).toMatchObject({ outcome: 'token_expired', why: undefined });
    slow.end();
  });

  test('whose bodies are slow to come keep half of the connections at most', async () => {
    const server = await start({ connections: 4, concurrency: 8 });
    const slow = await Promise.all((['admin', 'admin', 'writer'] as const).map((as) => slowly(server, as)));
    const refused = await Promise.race(slow.map((raw) => raw.until((text) => text.includes('requestId'))));
    expect(refused).toMatch(/ 503 [^]*overloaded/);
    for (const raw of slow) if (!raw.received().includes(' 503 ')) raw.send('{}');
    const served = slow.filter((raw) => !raw.received().includes(' 503 '));
    for (const raw of served) await raw.until((text) => text.includes('payloads'));
    expect(served).toHaveLength(2);
    for (const raw of slow) raw.end();
  });

  test('of one caller, whose bodies are there, are served however many waited for the same decision', async () => {
    const server = await start({ concurrency: 80, waiting: 0 });
    let open: (() => void) | undefined;
    server.authorizer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const burst = Array.from({ length: 80 }, () => post(server));
    await expect.poll(() => server.authorizer.asked.length).toBe(80);
    open?.();
    expect(new Set((await Promise.all(burst)).map(({ status }) => status))).toEqual(new Set([200]));
  });

  test('take no place while their answers are not taken', async () => {
    const server = await start({ concurrency: MAX_PIPELINED, waiting: 0 });
    const untaken = await connectUntaken(server);
    const refused = head('/decode', { ...HEADERS, Authorization: [], 'Content-Length': '0' });
    untaken.send(refused.repeat(MAX_PIPELINED - 1)); // their answers wait behind the first
    await expect.poll(() => server.authenticator.asked).toBe(MAX_PIPELINED);
    expect((await post(server)).status).toBe(200);
    untaken.end();
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
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
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

describe('requests that find no room even to wait', () => {
  const limits = { ...DEFAULT_LIMITS, concurrency: 1, waiting: 0 };
  let admission: Admission;
  let refusals: number;
  const ask = (): void => {
    admission.during(limits, () => Promise.resolve()).catch(() => (refusals += 1));
  };
  beforeEach(() => {
    vi.useFakeTimers();
    admission = new Admission();
    refusals = 0;
    void admission.during(limits, () => new Promise(() => undefined));
  });

  test('are refused half a second later: whoever asks again at once costs less', async () => {
    ask();
    await vi.advanceTimersByTimeAsync(499);
    expect(refusals).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(refusals).toBe(1);
  });

  test('are refused at once while a thousand of them wait', async () => {
    for (let asked = 0; asked < 1_003; asked += 1) ask();
    await vi.advanceTimersByTimeAsync(0);
    expect(refusals).toBe(3);
    await vi.advanceTimersByTimeAsync(500);
    expect(refusals).toBe(1_003);
    ask();
    await vi.advanceTimersByTimeAsync(0);
    expect(refusals).toBe(1_003);
  });
});

test('the body of one who waits for a refusal is thrown away', async () => {
  const server = await start({ concurrency: 1, waiting: 0 });
  let open: (() => void) | undefined;
  server.authorizer.gate = new Promise((resolve) => (open = resolve));
  const served = post(server);
  await expect.poll(() => server.authorizer.asked).toHaveLength(1);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }); // the refusal does not come
  const refused = await connectRaw(server.port);
  const bytes = 32 * 1024 * 1024; // more than the sockets' buffers take
  refused.send(head('/decode', { ...HEADERS, 'Content-Length': String(bytes) }));
  refused.send(' '.repeat(bytes));
  await expect.poll(() => refused.socket.writableLength, { timeout: 10_000 }).toBe(0);
  expect(refused.received()).toBe('');
  await vi.advanceTimersByTimeAsync(500);
  vi.useRealTimers();
  expect(statusesOf(await refused.until((text) => text.includes('overloaded')))).toEqual([503]);
  refused.end();
  open?.();
  expect((await served).status).toBe(200);
});

describe('body bytes held', () => {
  test('by all requests together are bounded, and let go again', async () => {
    const server = await start({ heldBytes: 1024 * 1024, bodyBytes: 1024 * 1024 });
    const holder = await connectRaw(server.port);
    holder.send(head('/decode', { ...HEADERS, 'Content-Length': '900000' }));
    holder.send(' '.repeat(500_000));
    const body = '{}'.padEnd(600_000);
    await expect.poll(async () => (await post(server, body)).code()).toBe('overloaded');
    holder.end();
    await expect.poll(async () => (await post(server, body)).status).toBe(200);
  });

  test('are for one caller half of them: then another is still served', async () => {
    const server = await start({ heldBytes: 2 * 1024 * 1024, bodyBytes: 1024 * 1024 });
    const holder = await connectRaw(server.port);
    holder.send(head('/decode', { ...HEADERS, 'Content-Length': '900000' }) + ' '.repeat(899_999));
    const body = '{}'.padEnd(300_000);
    await expect.poll(async () => (await post(server, body)).code()).toBe('rate_limited'); // once they are there
    expect((await server.ask('/encode', { as: 'writer', namespace: ORDERS, body })).status).toBe(200);
    holder.end();
    await expect.poll(async () => (await post(server, body)).status).toBe(200);
  });

  test('are for all bodies that are slow to come half of them: others are served', async () => {
    const server = await start({ heldBytes: 2 * 1024 * 1024, bodyBytes: 1024 * 1024 });
    const slow = await Promise.all(
      (['admin', 'writer'] as const).map((as) => slowly(server, as, '/encode', 600_001)),
    );
    for (const raw of slow) raw.send(' '.repeat(600_000));
    const refused = await Promise.race(slow.map((raw) => raw.until((text) => text.includes('requestId'))));
    expect(refused).toMatch(/ 503 [^]*overloaded/);
    expect((await post(server, '{}'.padEnd(400_000))).status).toBe(200);
    for (const raw of slow) raw.end();
  });

  test('of a body that grows while it is slow count too', async () => {
    const server = await start({
      heldBytes: 2 * 1024 * 1024,
      bodyBytes: 1_500_000,
      concurrency: 1,
      waiting: 0,
    });
    const slow = await slowly(server, 'admin', '/encode', 1_200_001);
    await expect.poll(() => reader(server)).toBe(403);
    slow.send(' '.repeat(1_200_000));
    expect(await slow.until((text) => text.includes('requestId'))).toMatch(/ 503 [^]*overloaded/);
    slow.end();
  });

  test('are no reason to refuse the last of a body that came slowly', () => {
    const admission = new Admission();
    const limits = { ...DEFAULT_LIMITS, bodyBytes: 1024, heldBytes: 1024 };
    const body = {
      share: shareOf({ issuer: 'https://idp.example/', subject: 'auth0|alice' }, limits),
      bytes: 0,
      isWhole: false,
      isSlow: true,
    };
    admission.hold(body, 512, limits);
    expect(
      codeThrownBy(() => {
        admission.hold(body, 1, limits);
      }),
    ).toBe('overloaded');
    admission.hold({ ...body, isWhole: true }, 1, limits);
  });

  test('are for slow bodies of one caller an eighth of them, or one body: those of another are served', async () => {
    const server = await start({ heldBytes: 8 * 1024 * 1024, bodyBytes: 1024 * 1024 });
    const other = await slowly(server, 'writer');
    const slow = await Promise.all([1, 2].map(() => slowly(server, 'admin', '/encode', 600_001)));
    for (const raw of slow) raw.send(' '.repeat(600_000));
    const refused = await Promise.race(slow.map((raw) => raw.until((text) => text.includes('requestId'))));
    expect(refused).toMatch(/ 429 [^]*rate_limited/);
    other.send('{}');
    expect(statusesOf(await other.until((text) => text.includes('payloads')))).toEqual([100, 200]);
    for (const raw of [...slow, other]) raw.end();
  });

  test('are for all who are refused a quarter of them', async () => {
    const limits = { heldBytes: 1024 * 1024, bodyBytes: 1024 * 1024 };
    const server = (running = await startServer({ options: { denied: 'encrypted' }, limits }));
    const asReader = (size: number): Promise<Answer> =>
      server.ask('/decode', { as: 'reader', namespace: ORDERS, body: '{}'.padEnd(size) });
    expect((await asReader(250_000)).status).toBe(200);
    const refused = await asReader(300_000);
    expect([refused.status, refused.code()]).toEqual([403, 'role_missing']);
    expect((await post(server, '{}'.padEnd(300_000))).status).toBe(200);
  });
});

describe('requests on one connection', () => {
  test('may be 32, and all are answered', async () => {
    const server = await start({});
    const pipelining = await connectRaw(server.port);
    pipelining.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`.repeat(MAX_PIPELINED));
    const received = await pipelining.until((text) => statusesOf(text).length === MAX_PIPELINED);
    expect(new Set(statusesOf(received))).toEqual(new Set([200]));
    pipelining.end();
  });

  test('of strangers are worked on one by one: who pipelines takes one place', async () => {
    const server = await start({ concurrency: 2, waiting: 0 });
    let open: (() => void) | undefined;
    server.authenticator.gate = new Promise((resolve) => {
      open = resolve;
    });
    const stranger = await connectRaw(server.port);
    const refused = head('/decode', { ...HEADERS, Authorization: [], 'Content-Length': '0' });
    stranger.send(refused.repeat(MAX_PIPELINED));
    await expect.poll(() => server.authenticator.asked).toBe(1);
    const another = post(server);
    await expect.poll(() => server.authenticator.asked).toBe(2);
    open?.();
    expect((await another).status).toBe(200);
    const received = await stranger.until((text) => statusesOf(text).length === MAX_PIPELINED);
    expect(new Set(statusesOf(received))).toEqual(new Set([401]));
    stranger.end();
  });

  test('of strangers wait for no place once it has ended', async () => {
    const { server, levels } = await startWatched({ concurrency: 1, waiting: 8 });
    let open: (() => void) | undefined;
    server.authenticator.gate = new Promise((resolve) => {
      open = resolve;
    });
    const stranger = await connectRaw(server.port);
    const refused = head('/decode', { ...HEADERS, Authorization: [], 'Content-Length': '0' });
    stranger.send(refused.repeat(3));
    await expect.poll(() => server.authenticator.asked).toBe(1);
    stranger.end();
    await expect.poll(() => server.log().match(/"aborted":true/g)?.length).toBe(3);
    expect(levels()?.waiting).toBe(0);
    open?.();
    expect((await post(server)).status).toBe(200);
  });

  test('are worked on together once it is known who asks', async () => {
    const server = await start({});
    let open: (() => void) | undefined;
    server.authorizer.gate = new Promise((resolve) => {
      open = resolve;
    });
    const known = await connectRaw(server.port);
    known.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`.repeat(MAX_PIPELINED));
    await expect.poll(() => server.authorizer.asked.length).toBe(MAX_PIPELINED);
    open?.();
    await known.until((text) => statusesOf(text).length === MAX_PIPELINED);
    known.end();
  });

  test('are none behind a refusal to somebody who waits to send a body, for it ends there', async () => {
    const server = await start({});
    const untaken = await connectUntaken(server);
    const refused = { ...HEADERS, Authorization: [], Expect: '100-continue', 'Content-Length': '2' };
    untaken.send(head('/encode', refused));
    await expect.poll(() => server.authenticator.asked).toBe(2);
    untaken.send(`{}${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`);
    expect((await post(server)).status).toBe(200);
    expect(server.audit.events.length).toBe(2);
    untaken.end();
  });

  test('beyond 32 end it, with no answer to any; it counts as malformed once', async () => {
    const server = await start({});
    let open: (() => void) | undefined;
    server.authenticator.gate = new Promise((resolve) => {
      open = resolve;
    });
    const pipelining = await connectRaw(server.port, '127.0.0.2');
    const one = head('/decode', { ...HEADERS, 'Content-Length': '0' });
    pipelining.send(one.repeat(MAX_PIPELINED + 100));
    expect(await pipelining.closed()).toBe('');
    await expect.poll(() => server.log().match(/"aborted":true/g)?.length).toBe(MAX_PIPELINED);
    expect(server.audit.strangers).toMatchObject([{ code: 'malformed', status: 0, address: '127.0.0.2' }]);
    open?.();
    expect((await post(server)).status).toBe(200);
  });
});

test('a connection is told from another of the same far end to another address of this machine', async () => {
  const limits = DEFAULT_LIMITS;
  running = await startServer({ limits, options: { listen: { host: '0.0.0.0', port: 0 } } });
  const server = running;
  const first = await connectRaw(server.port);
  const { localPort = 0 } = first.socket;
  const second = connect({ port: server.port, host: '127.0.0.2', localAddress: '127.0.0.1', localPort });
  await once(second, 'connect');
  second.end();
  await once(second.resume(), 'close');
  server.authenticator.gate = new Promise(() => undefined);
  first.send(head('/decode', { ...HEADERS, 'Content-Length': '0' }).repeat(MAX_PIPELINED + 1));
  expect(await first.closed()).toBe('');
});

test('a connection ends with what is sent behind the answer that it ends with, once that is 32 requests', async () => {
  const { server, levels } = await startWatched({});
  const untaken = await connectUntaken(server);
  expect(levels()?.connections).toBe(1);
  untaken.send('POST /decode HTTP/1.1\r\n\r\n'); // no host: a 400, with which it would end
  for (let sent = 0; sent < 40; sent += 1) untaken.send('GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await expect.poll(() => levels()?.connections).toBe(0);
  untaken.end();
});

test('behind requests in progress with 256 KiB of headers a connection has no further one', async () => {
  const server = await start({});
  let open: (() => void) | undefined;
  server.authorizer.gate = new Promise((resolve) => {
    open = resolve;
  });
  const pipelining = await connectRaw(server.port);
  const large = head('/decode', { ...HEADERS, 'Content-Length': '0', X: 'x'.repeat(40_000) });
  pipelining.send(large.repeat(7));
  await expect.poll(() => server.authorizer.asked.length).toBe(7);
  expect(pipelining.socket.destroyed).toBe(false);
  pipelining.send(large);
  expect(await pipelining.closed()).toBe('');
  expect(server.audit.strangers).toMatchObject([{ code: 'malformed' }]);
  open?.();
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

  test('may have key services asked 2000 times a minute; what is opened already costs nothing', () => {
    for (let i = 0; i < 1_999; i += 1) budgets.takeKeyCall(who('a'), limits);
    budgets.assertKeyCallsLeft(who('a'), limits);
    budgets.takeKeyCall(who('a'), limits);
    const asking = (subject: string): string | undefined =>
      codeThrownBy(() => {
        budgets.assertKeyCallsLeft(who(subject), limits);
      });
    expect([asking('a'), asking('b')]).toEqual(['rate_limited', undefined]);
    nowMs += 30;
    expect(asking('a')).toBeUndefined();
  });

  test('whose payloads have had key services asked too often is a 429, on record, until the minute has passed', async () => {
    const server = await start({});
    const sealed = await server.cipher.seal(plainPayload('sealed'), ORDERS);
    const keysOf = (from: number): string => {
      const payloads = Array.from({ length: 1_000 }, (_, index) => {
        const wrapped = new Uint8Array(Buffer.from(`key ${from + index}`));
        return { ...sealed, metadata: { ...sealed.metadata, 'encryption-data-key': wrapped } };
      });
      return bodyOf(...payloads);
    };
    for (const from of [0, 1_000, 2_000]) await post(server, keysOf(from));
    const refused = await post(server, keysOf(3_000));
    expect([refused.status, refused.code()]).toEqual([429, 'rate_limited']);
    expect(server.audit.events.at(-1)).toMatchObject({ status: 429, outcome: 'rate_limited' });
    expect((await post(server)).status).toBe(200); // without a sealed payload no key service is asked
  });

  test('beyond the payloads is a 429 as well', async () => {
    const server = await start({ callerPayloadsPerMinute: 2 });
    const two = bodyOf(plainPayload('a'), plainPayload('b'));
    expect((await post(server, two)).status).toBe(200);
    expect((await post(server, two)).code()).toBe('rate_limited');
  });
});

describe('open connections', () => {
  const CLOSED = 'closed';
  const isClosed = ({ socket }: RawConnection): boolean => socket.destroyed;
  const live = async (server: RunningServer): Promise<number> =>
    (await server.ask('/health/live', { method: 'GET' })).status;

  async function open(server: RunningServer, count: number, from?: string): Promise<RawConnection[]> {
    const made: RawConnection[] = [];
    for (let i = 0; i < count; i += 1) made.push(await connectRaw(server.port, from));
    return made;
  }

  async function endAll(...connections: readonly RawConnection[][]): Promise<void> {
    for (const connection of connections.flat()) connection.end();
    await Promise.all(connections.flat().map((connection) => connection.closed()));
  }

  test('from one address on which nobody is known are 64: then the one goes that rested longest', async () => {
    const server = await start({});
    const strangers = await open(server, 64, '127.0.0.2');
    const [asking] = strangers;
    asking?.send(head('/decode', { ...HEADERS, Authorization: [], 'Content-Length': '0' }));
    await asking?.until((text) => text.includes('requestId')); // so it is the second that rested longest
    const elsewhere = await open(server, 3, '127.0.0.3');
    expect(strangers.filter(isClosed)).toEqual([]);
    const more = await open(server, 2, '127.0.0.2');
    expect(await strangers[1]?.closed()).toBe('');
    expect(await strangers[2]?.closed()).toBe('');
    expect(await live(server)).toBe(200);
    expect([...strangers.slice(3), ...strangers.slice(0, 1), ...elsewhere, ...more].filter(isClosed)).toEqual(
      [],
    );
    await endAll(strangers, elsewhere, more);
  });

  test('of somebody known, or with a request in progress, are not closed for a stranger of the same address', async () => {
    const server = await start({});
    const [known, busy] = await open(server, 2, '127.0.0.2');
    known?.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`);
    await known?.until((text) => text.includes('payloads'));
    server.authenticator.gate = new Promise(() => undefined);
    busy?.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`);
    await expect.poll(() => server.authenticator.asked).toBe(2);
    const strangers = await open(server, 65, '127.0.0.2'); // the busy one is a stranger's still
    expect(await Promise.race(strangers.map((one) => one.closed().then(() => CLOSED)))).toBe(CLOSED);
    expect(await live(server)).toBe(200);
    expect(strangers.filter(isClosed)).toHaveLength(2);
    expect([known, busy].map((one) => one?.socket.destroyed)).toEqual([false, false]);
    await endAll(
      [known, busy].flatMap((one) => one ?? []),
      strangers,
    );
  });

  test('from a trusted proxy are not counted by address', async () => {
    running = await startServer({ options: { trustedProxies: ['127.0.0.0/24'] } });
    const proxied = await open(running, 80);
    expect(await live(running)).toBe(200);
    expect(proxied.filter(isClosed)).toEqual([]);
    await endAll(proxied);
  });

  test('of a flood of strangers leave an admin on a new connection served', async () => {
    const server = await start({ connections: 100 });
    const floods: RawConnection[][] = [];
    for (let host = 2; host < 6; host += 1) floods.push(await open(server, 70, `127.0.0.${host}`));
    expect((await post(server)).status).toBe(200);
    await expect.poll(() => floods.flat().filter((one) => !isClosed(one)).length).toBeLessThanOrEqual(100);
    await endAll(...floods);
  });

  test('of an IPv6 network of 64 bits count as of one address, of IPv4 each for itself', () => {
    const trusted = trustedAddresses(['10.0.0.0/8']);
    const from = (remoteAddress: string): string | undefined => strangerFrom(remoteAddress, trusted);
    expect(from('2001:db8:1:2:3:4:5:6')).toBe(from('2001:db8:1:2::7'));
    expect(from('2001:db8:1:2::7')).not.toBe(from('2001:db8:1:3::7'));
    expect(from('2001:db8::7')).toBe(from('2001:db8:0:0:ffff::'));
    expect(from('fe80::1%eth0')).toBe(from('fe80::2%eth0'));
    expect(from('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(from('192.0.2.1')).not.toBe(from('192.0.2.2'));
    expect(from('::ffff:10.1.2.3')).toBeUndefined();
  });

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

  test('at the cap, an answer that is not taken gives way to a newcomer: first the one that began first', async () => {
    const server = await start({ connections: 3 });
    const untaken = [];
    for (let i = 0; i < 3; i += 1) untaken.push(await connectUntaken(server));
    const [first, second, third] = untaken;
    const newcomer = await connectRaw(server.port);
    newcomer.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`);
    expect(statusesOf(await newcomer.until((text) => text.includes('payloads')))).toEqual([200]);
    first?.socket.resume();
    expect((await first?.closed())?.endsWith('}')).toBe(false);
    for (const whole of [second, third]) {
      whole?.socket.resume();
      await expect.poll(() => whole?.received().endsWith('}')).toBe(true);
    }
    await endAll(untaken, [newcomer]);
  });

  test('at the cap, idle ones give way before an answer that is being taken, as long as they are more', async () => {
    const server = await start({ connections: 3 });
    const reader = await connectUntaken(server);
    const idle = await open(server, 4);
    for (const one of idle.slice(0, 2)) expect(await one.closed()).toBe('');
    reader.socket.resume();
    await expect.poll(() => reader.received().endsWith('}')).toBe(true);
    expect(idle.slice(2).filter(isClosed)).toEqual([]);
    await endAll([reader], idle);
  });

  test('at the cap, refusals that linger give way before an answer that somebody known is taking', async () => {
    const server = await start({ connections: 3 });
    const reader = await connectUntaken(server);
    const refused = { Host: 'a', X: Array.from({ length: 120 }, String), 'Content-Length': '5' };
    const strangers: RawConnection[] = [];
    for (let index = 0; index < 10; index += 1) {
      const stranger = await connectRaw(server.port);
      stranger.send(head('/decode', refused)); // the body never comes
      await stranger.until((text) => text.includes(' 431 '));
      strangers.push(stranger);
    }
    reader.socket.resume();
    await expect.poll(() => reader.received().endsWith('}')).toBe(true);
    await endAll([reader], strangers);
  });

  test('of one address, on all of which a refusal lingers, leave room for somebody known of that address', async () => {
    const server = await start({});
    const refused = { Host: 'a', X: Array.from({ length: 120 }, String), 'Content-Length': '5' };
    const strangers = await open(server, 64, '127.0.0.2');
    for (const stranger of strangers) {
      stranger.send(head('/decode', refused)); // the body never comes
      await stranger.until((text) => text.includes(' 431 '));
    }
    const known = await connectRaw(server.port, '127.0.0.2');
    known.send(`${head('/decode', { ...HEADERS, 'Content-Length': '2' })}{}`);
    expect(statusesOf(await known.until((text) => text.includes('payloads')))).toEqual([200]);
    await endAll(strangers, [known]);
  });
});
