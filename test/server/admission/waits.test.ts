// Requests that wait for others: they leave places to those whose answers are at hand.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Patience } from '../../../src/access/patience.js';
import type { Action, Authorizer, Decision } from '../../../src/access/policy.js';
import type { Authenticator, Principal } from '../../../src/access/principal.js';
import { EncryptionCodec } from '../../../src/codec/encryption-codec.js';
import { KeyholeError } from '../../../src/errors.js';
import { CallerBudgets } from '../../../src/server/admission/caller-budgets.js';
import { Waits, type Waiter } from '../../../src/server/admission/waits.js';
import { DEFAULT_LIMITS } from '../../../src/server/limits.js';
import { FakeWrappingKey } from '../../../src/testing.js';
import { gate } from '../../gate.js';
import { plantSecret } from '../../streams.js';
import { connectRaw, head, type RawConnection } from '../http/raw-connection.js';
import {
  BILLING,
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  TOKENS,
  TableAuthenticator,
  TableAuthorizer,
  type Answer,
  type Person,
  type RunningServer,
} from '../running-server.js';

let running: RunningServer | undefined;
const opened: RawConnection[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const connection of opened.splice(0)) connection.end();
  await running?.stop();
  running = undefined;
});

async function send(server: RunningServer, bytes: string, from?: string): Promise<RawConnection> {
  const connection = await connectRaw(server.port, from);
  opened.push(connection);
  connection.send(bytes);
  return connection;
}

const isAnswered = (connection: RawConnection): boolean => connection.received().includes('requestId');

const asAdmin = (server: RunningServer): Promise<Answer> =>
  server.ask('/decode', { as: 'admin', namespace: ORDERS });

describe('what is waited for', () => {
  const limits = { ...DEFAULT_LIMITS, concurrency: 8 };
  const never = new Promise<never>(() => undefined);
  let waits: Waits;

  const of = (name: string): Waiter => ({ name, exceeded: () => new Error(`${name} has too much`) });
  /** The refusals of `count` requests, as they come. */
  const waiting = (name: string, count: number): Error[] => {
    const refusals: Error[] = [];
    for (let i = 0; i < count; i += 1) {
      const wait = waits.during(
        of(name),
        limits,
        () => never,
        (answer) => answer,
      );
      wait.catch((error: unknown) => refusals.push(error as Error));
    }
    return refusals;
  };

  beforeEach(() => {
    vi.useFakeTimers();
    waits = new Waits();
  });

  test('may be too much for 1.2 seconds: then what is beyond half of the places is refused', async () => {
    const refusals = waiting('a', 8);
    await vi.advanceTimersByTimeAsync(1_199);
    expect(refusals).toEqual([]);
    await vi.advanceTimersByTimeAsync(10);
    expect(refusals.map(({ message }) => message)).toEqual(Array(4).fill('a has too much'));
  });

  test('is refused to nobody where the answer comes in that time', async () => {
    const { open, opened } = gate();
    const burst = Array.from({ length: 8 }, () =>
      waits.during(
        of('a'),
        limits,
        () => opened.then(() => 'there'),
        (answer) => answer,
      ),
    );
    await vi.advanceTimersByTimeAsync(1_100);
    open();
    expect(new Set(await Promise.all(burst))).toEqual(new Set(['there']));
    expect(waiting('a', 4)).toEqual([]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(waits.refusal(of('a'), limits)).toBeUndefined();
  });

  test('in all takes three quarters of the places: what is beyond is told that the server is busy', async () => {
    const refusals = [waiting('a', 4), waiting('b', 4)];
    await vi.advanceTimersByTimeAsync(1_210);
    expect(refusals[0]).toEqual([]);
    expect(refusals[1]).toMatchObject([{ code: 'overloaded' }, { code: 'overloaded' }]);
  });

  test('of a name that waits little is not refused for what others keep', async () => {
    waiting('a', 4);
    waiting('b', 4);
    await vi.advanceTimersByTimeAsync(1_210);
    const next = waiting('c', 2);
    await vi.advanceTimersByTimeAsync(1);
    expect(next).toMatchObject([{ code: 'overloaded' }]);
    expect(waits.refusal(of('d'), limits)).toBeUndefined();
  });

  test('is refused at once after a refusal, until there was none for a minute', async () => {
    waiting('a', 5);
    await vi.advanceTimersByTimeAsync(1_210);
    const next = waiting('a', 1);
    await vi.advanceTimersByTimeAsync(1);
    expect(next).toHaveLength(1);
    expect(waits.refusal(of('a'), limits)?.message).toBe('a has too much');
    expect(waits.refusal(of('b'), limits)).toBeUndefined();
    for (let minute = 0; minute < 2; minute += 1) {
      await vi.advanceTimersByTimeAsync(59_990);
      expect(waits.refusal(of('a'), limits)).toBeDefined();
    }
    await vi.advanceTimersByTimeAsync(60_010);
    expect(waits.refusal(of('a'), limits)).toBeUndefined();
    const later = waiting('a', 1);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(later).toEqual([]);
  });

  test('may fail after the request was refused: nobody waits for it any more', async () => {
    waiting('a', 5);
    await vi.advanceTimersByTimeAsync(1_210);
    let fail: (error: Error) => void = () => undefined;
    const failing = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const refused = waits.during(
      of('a'),
      limits,
      () => failing,
      (answer) => answer.finally(() => undefined),
    );
    const told = expect(refused).rejects.toThrow('a has too much');
    await vi.advanceTimersByTimeAsync(1);
    await told;
    fail(new Error('nobody listens')); // unhandled, it would end the run
    await vi.advanceTimersByTimeAsync(1);
  });

  test('does not count where the answer is at hand, however many ask', async () => {
    waiting('a', 5);
    await vi.advanceTimersByTimeAsync(1_210);
    const late = vi.fn(() => never);
    const burst = Array.from({ length: 20 }, () =>
      waits.during(of('a'), limits, () => Promise.resolve('there'), late),
    );
    expect(new Set(await Promise.all(burst))).toEqual(new Set(['there']));
    const failing = waits.during(of('a'), limits, () => Promise.reject(new Error('no')), late);
    await expect(failing).rejects.toThrow('no');
    expect(late).not.toHaveBeenCalled();
  });
});

describe('while tokens are slow to verify', () => {
  const FORGED = plantSecret('forged-token~4b7e0d2a9c61');
  const headers = {
    Host: 'x',
    'Content-Type': 'application/json',
    'X-Namespace': ORDERS,
    'Content-Length': '2',
  };
  const forged = `${head('/decode', { ...headers, Authorization: `Bearer ${FORGED}` })}{}`;

  /** Knows the admin at once; whoever else asks has to wait for the issuer. */
  class SlowIssuer extends TableAuthenticator implements Authenticator {
    readonly issuer = gate();
    verifying = 0;

    override async authenticate(authorization: string | undefined, patience?: Patience) {
      if (authorization !== `Bearer ${FORGED}`) return super.authenticate(authorization);
      patience?.signal.throwIfAborted();
      this.verifying += 1;
      await this.issuer.opened;
      throw new KeyholeError('token_invalid', 'the access token is not valid');
    }
  }

  test('strangers of one network keep half of the places, and tokens that are remembered are served', async () => {
    const authenticator = new SlowIssuer();
    const server = (running = await startServer({
      parts: { authenticator },
      limits: { concurrency: 8, waiting: 0 },
    }));
    const strangers = await Promise.all(Array.from({ length: 8 }, () => send(server, forged, '127.0.0.2')));
    await expect.poll(() => authenticator.verifying).toBe(8);
    await expect.poll(() => strangers.filter(isAnswered).length, { timeout: 5_000 }).toBe(4);
    expect((await asAdmin(server)).status).toBe(200);
    const refused = await (
      await send(server, forged, '127.0.0.3')
    ).until((text) => text.includes('requestId'));
    expect(refused).toMatch(/^HTTP\/1.1 503 [^]*retry-after: 1\r\n[^]*overloaded/i);
    expect(authenticator.verifying).toBe(8);
    await send(server, forged, '127.0.1.1');
    await expect.poll(() => authenticator.verifying).toBe(9);
    authenticator.issuer.open();
    await expect.poll(() => strangers.filter(isAnswered).length, { timeout: 5_000 }).toBe(8);
    const codes = strangers.map((one) => /"code":"(\w+)"/.exec(one.received())?.[1]).sort();
    expect(codes).toEqual([
      ...Array<string>(4).fill('overloaded'),
      ...Array<string>(4).fill('token_invalid'),
    ]);
    expect(server.audit.events).toHaveLength(1);
  });

  test('whoever left before it was their turn is not asked about', async () => {
    const authenticator = new SlowIssuer();
    const server = (running = await startServer({
      parts: { authenticator },
      limits: { concurrency: 1, waiting: 1 },
    }));
    await send(server, forged);
    await expect.poll(() => authenticator.verifying).toBe(1);
    const leaving = await send(server, forged);
    await expect.poll(async () => (await asAdmin(server)).status).toBe(503); // it waits in the only place to wait
    leaving.end();
    await expect.poll(server.log).toContain('"aborted":true');
    authenticator.issuer.open();
    await expect.poll(async () => (await asAdmin(server)).status).toBe(200);
    expect(authenticator.verifying).toBe(1);
  });
});

describe('while roles are slow to come', () => {
  /** Knows the admin's roles at once; everybody else's have to be asked for. */
  class SlowRoles extends TableAuthorizer implements Authorizer {
    readonly roles = gate();

    override async decide(principal: Principal, action: Action, namespace: string): Promise<Decision> {
      const decision = await super.decide(principal, action, namespace);
      if (principal.email !== 'admin@example.com') await this.roles.opened;
      return decision;
    }
  }

  test('one caller keeps half of the places, whatever namespaces they name, and is told so on record', async () => {
    const authorizer = new SlowRoles();
    const server = (running = await startServer({
      parts: { authorizer },
      limits: { concurrency: 8, waiting: 0 },
    }));
    const asReader = (namespace: string): Promise<Answer> =>
      server.ask('/decode', { as: 'reader', namespace });
    const asked = Array.from({ length: 8 }, (_, index) => asReader(`n${index}.a1b2c`));
    await expect.poll(() => authorizer.asked).toHaveLength(8);
    await expect.poll(() => server.audit.events, { timeout: 5_000 }).toHaveLength(4);
    expect((await asAdmin(server)).status).toBe(200);
    const refused = await asReader('n9.a1b2c');
    expect([refused.status, refused.code(), refused.headers['retry-after']]).toEqual([
      429,
      'rate_limited',
      '1',
    ]);
    authorizer.roles.open();
    const codes = (await Promise.all(asked)).map((answer) => answer.code());
    expect(codes.sort()).toEqual([
      ...Array<string>(4).fill('rate_limited'),
      ...Array<string>(4).fill('role_missing'),
    ]);
    expect(server.audit.events.filter(({ outcome }) => outcome === 'rate_limited')).toHaveLength(5);
    expect(server.audit.events).toHaveLength(10);
  });
});

describe('while a key service is slow', () => {
  const slowly = { limits: { concurrency: 8, waiting: 0 }, keyCallMs: 4_000 };

  /** Bodies that need a data key each which this server has never seen. */
  async function sealedElsewhere({ key }: RunningServer, count: number, text = 'x'): Promise<string[]> {
    const bodies: string[] = [];
    for (let i = 0; i < count; i += 1) {
      const codec = new EncryptionCodec({ namespace: ORDERS, keys: key });
      bodies.push(bodyOf(...(await codec.encode([plainPayload(text)]))));
    }
    return bodies;
  }

  const together = (...bodies: string[]): string =>
    JSON.stringify({
      payloads: bodies.flatMap((body) => (JSON.parse(body) as { payloads: unknown[] }).payloads),
    });

  test('one caller keeps half of the places, whatever keys they need, and others are served', async () => {
    const server = (running = await startServer(slowly));
    const bodies = await sealedElsewhere(server, 8);
    const slow = gate();
    server.key.gate = slow.opened;
    const asked = bodies.map((body) => server.ask('/decode', { as: 'admin', namespace: ORDERS, body }));
    await expect.poll(() => server.key.calls).toHaveLength(16);
    await expect.poll(() => server.audit.events, { timeout: 5_000 }).toHaveLength(4);
    expect((await server.ask('/encode', { as: 'writer', namespace: ORDERS })).status).toBe(200);
    slow.open();
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 429, 429, 429, 429]);
  });

  test('once one was refused, no further key is asked for in vain, and those at hand open', async () => {
    const server = (running = await startServer(slowly));
    const [atHand = '', ...unseen] = await sealedElsewhere(server, 7);
    const decode = (body: string): Promise<Answer> =>
      server.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect((await decode(atHand)).status).toBe(200);
    const slow = gate();
    server.key.gate = slow.opened;
    const asked = unseen.slice(0, 5).map(decode);
    await expect.poll(() => server.audit.events, { timeout: 5_000 }).toHaveLength(2); // the fifth was refused
    const calls = server.key.calls.length;
    const refused = await decode(unseen[5] ?? '');
    expect([refused.status, refused.code()]).toEqual([429, 'rate_limited']);
    expect((await decode(together(atHand, unseen[5] ?? ''))).status).toBe(429);
    expect(server.key.calls).toHaveLength(calls);
    expect((await decode(atHand)).status).toBe(200);
    slow.open();
    await Promise.all(asked);
  });

  test('what is compressed under a key at hand waits for none', async () => {
    const server = (running = await startServer({
      ...slowly,
      entries: (key) => [
        { namespaces: ['*.a1b2c'], wrap: () => key, sharesKey: true, compress: { aboveBytes: 1_000 } },
      ],
    }));
    const unseen = await sealedElsewhere(server, 5);
    const body = bodyOf(plainPayload('x'.repeat(200_000)));
    const encode = (): Promise<Answer> => server.ask('/encode', { as: 'admin', namespace: ORDERS, body });
    expect((await encode()).status).toBe(200);
    const slow = gate();
    server.key.gate = slow.opened;
    const asked = unseen.map((sealed) =>
      server.ask('/decode', { as: 'admin', namespace: ORDERS, body: sealed }),
    );
    await expect.poll(() => server.audit.events, { timeout: 5_000 }).toHaveLength(2); // the fifth was refused
    expect((await encode()).status).toBe(200);
    slow.open();
    await Promise.all(asked);
  });

  test('what is compressed first waits for its key as anything else', async () => {
    const server = (running = await startServer({
      ...slowly,
      entries: (key) => [
        { namespaces: ['*.a1b2c'], wrap: () => key, sharesKey: true, compress: { aboveBytes: 1_000 } },
      ],
    }));
    const slow = gate();
    server.key.gate = slow.opened;
    const body = bodyOf(plainPayload('x'.repeat(2_000)));
    const asked = Array.from({ length: 8 }, (_, index) =>
      server.ask('/encode', { as: 'writer', namespace: `n${index}.a1b2c`, body }),
    );
    await expect.poll(() => server.audit.events, { timeout: 5_000 }).toHaveLength(4);
    expect((await asAdmin(server)).status).toBe(200);
    slow.open();
    const statuses = (await Promise.all(asked)).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 200, 200, 200, 429, 429, 429, 429]);
  });

  const LARGE = 'x'.repeat(500 * 1024);
  const narrow = {
    keyCallMs: 4_000,
    limits: { concurrency: 8, waiting: 0, heldBytes: 2 * 2 ** 20, bodyBytes: 2 ** 20 },
  };
  const asAdminSends = (body: string): string => {
    const headers = { Host: 'x', 'Content-Type': 'application/json', 'X-Namespace': ORDERS };
    const more = { Authorization: `Bearer ${TOKENS.admin}`, 'Content-Length': String(body.length) };
    return `${head('/decode', { ...headers, ...more })}${body}`;
  };
  const isOnItsWay = (answer: Answer): boolean => answer.body.includes('still on its way');

  test('the body of a request that was refused meanwhile counts until its key has come', async () => {
    const server = (running = await startServer(narrow));
    const small = await sealedElsewhere(server, 4);
    const [large = '', another = ''] = await sealedElsewhere(server, 2, LARGE);
    const slow = gate();
    server.key.gate = slow.opened;
    const decode = (body: string): Promise<Answer> =>
      server.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    const calls = server.key.calls.length;
    const asked = small.map(decode);
    await expect.poll(() => server.key.calls).toHaveLength(calls + 4);
    expect((await decode(large)).status).toBe(429);
    expect(isOnItsWay(await decode(another))).toBe(true);
    slow.open();
    await Promise.all(asked);
    await expect.poll(async () => (await decode(another)).status).toBe(200);
  });

  test('so does that of one of whose other payloads failed at once', async () => {
    const down = new FakeWrappingKey('down');
    const server = (running = await startServer({
      ...narrow,
      entries: (key) => [
        { namespaces: [ORDERS], wrap: () => key, sharesKey: false },
        { namespaces: [BILLING], wrap: () => down, sharesKey: false },
      ],
    }));
    const [large = '', another = ''] = await sealedElsewhere(server, 2, LARGE);
    const codec = new EncryptionCodec({ namespace: BILLING, keys: down });
    const small = bodyOf(...(await codec.encode([plainPayload('x')])));
    const slow = gate();
    server.key.gate = slow.opened;
    down.failure = new KeyholeError('key_unavailable', 'down');
    const decode = (body: string): Promise<Answer> =>
      server.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect((await decode(together(large, small))).code()).toBe('kms_unavailable');
    expect(isOnItsWay(await decode(another))).toBe(true);
    slow.open();
    await expect.poll(async () => (await decode(another)).status).toBe(200);
  });

  test('so does that of a caller who hung up', async () => {
    const server = (running = await startServer(narrow));
    const [large = '', another = ''] = await sealedElsewhere(server, 2, LARGE);
    const slow = gate();
    server.key.gate = slow.opened;
    const calls = server.key.calls.length;
    const leaving = await send(server, asAdminSends(large));
    await expect.poll(() => server.key.calls).toHaveLength(calls + 1);
    leaving.end();
    await expect.poll(server.log).toContain('"aborted":true');
    const decode = (): Promise<Answer> =>
      server.ask('/decode', { as: 'admin', namespace: ORDERS, body: another });
    expect(isOnItsWay(await decode())).toBe(true);
    slow.open();
    await expect.poll(async () => (await decode()).status).toBe(200);
  });

  test('and of one who hung up while roles were slow to come', async () => {
    const server = (running = await startServer(narrow));
    server.authorizer.silent.add(BILLING);
    const large = bodyOf(await server.cipher.seal(plainPayload(LARGE), BILLING));
    const leaving = await send(server, asAdminSends(large));
    await expect.poll(() => server.authorizer.asked).toContain(`admin@example.com decode ${BILLING}`);
    leaving.end();
    await expect.poll(server.log).toContain('"aborted":true');
    const decode = (): Promise<Answer> =>
      server.ask('/decode', { as: 'admin', namespace: ORDERS, body: large });
    expect(isOnItsWay(await decode())).toBe(true);
    server.authorizer.silent.clear();
    await expect.poll(async () => (await decode()).status, { timeout: 4_000 }).toBe(200);
  });

  test('whoever seals keeps no more', async () => {
    const server = (running = await startServer(slowly));
    const slow = gate();
    server.key.gate = slow.opened;
    const body = bodyOf(plainPayload('x'));
    const asked = Array.from({ length: 8 }, (_, index) =>
      server.ask('/encode', { as: 'writer', namespace: `n${index}.a1b2c`, body }),
    );
    await expect.poll(() => server.key.calls).toHaveLength(8);
    await expect.poll(() => server.audit.events, { timeout: 5_000 }).toHaveLength(4);
    expect((await asAdmin(server)).status).toBe(200);
    slow.open();
    const statuses = (await Promise.all(asked)).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 200, 200, 200, 429, 429, 429, 429]);
  });
});

/** Knows the roles on `ORDERS`; counts whose others it would load. */
class LoadedRoles extends TableAuthorizer {
  readonly loads: string[] = [];
  readonly roles = gate();

  override async decide(
    principal: Principal,
    action: Action,
    namespace: string,
    patience: Patience = new AbortController(),
  ): Promise<Decision> {
    if (namespace !== ORDERS) {
      patience.signal.throwIfAborted();
      this.loads.push(namespace);
      await this.roles.opened;
    }
    return super.decide(principal, action, namespace);
  }
}
test('one caller has the roles on a dozen namespaces loaded at once; what is known of others needs no load', async () => {
  const authorizer = new LoadedRoles();
  const server = (running = await startServer({ parts: { authorizer } }));
  const naming = (index: number): Promise<Answer> =>
    server.ask('/decode', { as: 'admin', namespace: `n${index}.a1b2c` });
  const asked = Array.from({ length: 40 }, (_, index) => naming(index));
  await expect.poll(() => server.audit.events).toHaveLength(28);
  const again = server.ask('/decode', { as: 'admin', namespace: authorizer.loads[0] ?? '' });
  expect((await asAdmin(server)).status).toBe(200);
  await expect.poll(() => authorizer.loads).toHaveLength(13);
  authorizer.roles.open();
  const statuses = (await Promise.all([...asked, again])).map(({ status }) => status).sort();
  expect(statuses).toEqual([...Array<number>(13).fill(200), ...Array<number>(28).fill(429)]);
  expect(new Set(authorizer.loads).size).toBe(12);
  expect((await naming(99)).status).toBe(200);
});

test('payloads that name namespaces beyond that dozen stay closed, and close no other', async () => {
  const authorizer = new LoadedRoles();
  const server = (running = await startServer({ parts: { authorizer } }));
  const naming = async (first: number): Promise<string> => {
    const others = Array.from({ length: 12 }, (_, index) => `n${first + index}.a1b2c`);
    const payloads = [ORDERS, ...others].map(async (name) => server.cipher.seal(plainPayload('x'), name));
    return bodyOf(...(await Promise.all(payloads)));
  };
  const [one, another] = [await naming(0), await naming(12)];
  const first = server.ask('/decode', { as: 'admin', namespace: ORDERS, body: one });
  await expect.poll(() => authorizer.loads).toHaveLength(12);
  const second = await server.ask('/decode', { as: 'admin', namespace: ORDERS, body: another });
  expect(second.status).toBe(200);
  expect(server.audit.events[0]?.payloads).toMatchObject({ opened: 1, failed: 12 });
  authorizer.roles.open();
  expect((await first).status).toBe(200);
  expect(server.audit.events[1]?.payloads).toMatchObject({ opened: 13, failed: 0 });
});

test('a request whose payloads are bound to many namespaces waits for their roles once', async () => {
  const namespaces = Array.from({ length: 12 }, (_, index) => `n${index}.a1b2c`);
  const roles = gate();
  class SlowRoles extends TableAuthorizer {
    override async decide(principal: Principal, action: Action, namespace: string): Promise<Decision> {
      if (namespace !== ORDERS) await roles.opened;
      return super.decide(principal, action, namespace);
    }
  }
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const authorizer = new SlowRoles();
  const server = (running = await startServer({ parts: { authorizer }, limits: { concurrency: 8 } }));
  const payloads = await Promise.all(
    [ORDERS, ...namespaces].map(async (namespace) => server.cipher.seal(plainPayload('x'), namespace)),
  );
  const asked = server.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(...payloads) });
  await expect.poll(() => authorizer.asked.length).toBe(1);
  await vi.advanceTimersByTimeAsync(2_000);
  roles.open();
  expect((await asked).status).toBe(200);
});

describe('callers beyond their rate', () => {
  test('keep half of the places while they wait, all together; who is too many is a 429 on record', async () => {
    const limits = { concurrency: 2, waiting: 2, callerBurst: 1, callerRequestsPerSecond: 1 };
    const server = (running = await startServer({ limits }));
    const as = (person: Person): Promise<Answer> => server.ask('/encode', { as: person, namespace: ORDERS });
    const answers = await Promise.all([as('reader'), as('reader'), as('writer'), as('writer')]);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.map((answer) => [answer.code(), answer.headers['retry-after']])).toEqual([
      ['rate_limited', '1'],
    ]);
    expect(server.audit.events.filter(({ outcome }) => outcome === 'rate_limited')).toHaveLength(1);
    expect(server.audit.events).toHaveLength(4);
    expect((await asAdmin(server)).status).toBe(200);
  });

  test('who may not wait are refused, and that costs nothing of their rate', () => {
    const budgets = new CallerBudgets({ monotonic: () => 0 });
    const who: Principal = { subject: 'a', issuer: 'i', email: undefined, method: 'bearer', expiresAtMs: 0 };
    const limits = { ...DEFAULT_LIMITS, callerBurst: 1, callerRequestsPerSecond: 2 };
    const mayWait = vi.fn(() => false);
    expect(budgets.takeRequest(who, limits, mayWait)).toBe(0);
    expect(mayWait).not.toHaveBeenCalled();
    for (let asked = 0; asked < 5; asked += 1) {
      expect(() => budgets.takeRequest(who, limits, mayWait)).toThrow('you may send 2 requests a second');
    }
    expect(budgets.takeRequest(who, limits)).toBe(500);
  });
});
