// What /decode answers: payloads opened for whom, each judged by itself, in which order things fail.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../../src/errors.js';
import type { KeyringEntry } from '../../src/keys/keyring.js';
import type { KeyholeEvent } from '../../src/observer.js';
import { createMetrics } from '../../src/server/telemetry/metrics.js';
import type { FakeWrappingKey } from '../../src/testing.js';
import { plantSecret } from '../streams.js';
import {
  BILLING,
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  textOf,
  asJson,
  UI,
  type RunningServer,
  type StartOptions,
} from './running-server.js';

const SECRET = plantSecret('the order is for 12 violins');

let running: RunningServer;

beforeEach(async () => {
  running = await startServer();
});

afterEach(async () => {
  await running.stop();
});

async function restart(start: StartOptions): Promise<void> {
  await running.stop();
  running = await startServer(start);
}

async function sealed(namespace = ORDERS, text: string = SECRET): Promise<Payload> {
  return running.cipher.seal(plainPayload(text), namespace);
}

/** A payload whose tag no longer fits. */
async function broken(): Promise<Payload> {
  const payload = await sealed();
  const data = Buffer.from(payload.data ?? []);
  data[data.length - 1] = (data.at(-1) ?? 0) ^ 1;
  return { ...payload, data: new Uint8Array(data) };
}

/** As docs/audit.md says of more than 64. */
function digestOver(payloads: readonly Payload[]): string {
  const parts = payloads.map(({ data }) => {
    const bytes = Buffer.from(data ?? []);
    const length = Buffer.from([0, 0, bytes.length >> 8, bytes.length & 0xff]);
    return Buffer.concat([length, bytes]);
  });
  return createHash('sha256').update(Buffer.concat(parts)).digest('hex');
}

const claimsUnknown: Payload = {
  metadata: { encoding: new Uint8Array(Buffer.from('binary/encrypted')) },
  data: new Uint8Array(40),
};

describe('an admin', () => {
  test('gets the plaintext of a sealed payload, and the record says who got what under which key', async () => {
    const payload = await sealed();
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(payload) });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(textOf(answer.payloads()[0])).toBe(SECRET);
    expect(running.audit.events).toMatchObject([
      {
        requestId: answer.headers['x-request-id'],
        action: 'decode',
        status: 200,
        outcome: 'ok',
        who: { subject: 'auth0|admin', email: 'admin@example.com', method: 'bearer', address: '127.0.0.1' },
        namespace: { claimed: ORDERS, bound: [ORDERS] },
        why: { rule: 0, role: 'namespace:admin', source: 'static', ageMs: 1_000 },
        keys: ['fake-key'],
        payloads: { opened: 1, sealed: 0, passed: 0, failed: 0, refused: 0 },
        digests: [expect.stringMatching(/^[0-9a-f]{64}$/)],
      },
    ]);
  });

  test.each([`/${ORDERS}/decode`, `/${ORDERS}//decode`, `/${ORDERS}/decode?preserveStorageRefs=true`])(
    'may name the namespace in the path: %s',
    async (path) => {
      const answer = await running.ask(path, { as: 'admin', body: bodyOf(await sealed()) });
      expect(textOf(answer.payloads()[0])).toBe(SECRET);
    },
  );

  test('gets as many payloads back in the same order, what was never sealed unchanged', async () => {
    const plain = plainPayload('in the clear');
    const reference: Payload = {
      metadata: {
        encoding: new Uint8Array(Buffer.from('json/protobuf')),
        messageType: new Uint8Array(Buffer.from('temporal.api.sdk.v1.ExternalStorageReference')),
      },
      data: new Uint8Array(Buffer.from('{}')),
    };
    const body = bodyOf(await sealed(ORDERS, 'a'), plain, reference, await sealed(ORDERS, 'b'));
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    const [first, second, third, fourth] = answer.payloads();
    expect([textOf(first), textOf(fourth)]).toEqual(['a', 'b']);
    expect([second, third].map(asJson)).toEqual([plain, reference].map(asJson));
    expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 2, passed: 2 });
  });

  test.each([10, 20_000])(
    'gets metadata that is not ASCII back byte for byte, in an answer of at least %i bytes',
    async (bytes) => {
      const metadata = { 'ключ é €': new Uint8Array(Buffer.from('ß')) };
      const plain = { ...plainPayload('x'.repeat(bytes)), metadata };
      const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(plain) });
      expect(answer.headers['content-length']).toBe(String(answer.body.length));
      expect(answer.payloads().map(asJson)).toEqual([asJson(plain)]);
    },
  );

  test('costs one call to the key service for 150 requests at once, under one data key', async () => {
    const body = bodyOf(await sealed());
    running.dataKeys.clear();
    running.key.calls.length = 0;
    const answers = await Promise.all(
      Array.from({ length: 150 }, () => running.ask('/decode', { as: 'admin', namespace: ORDERS, body })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(running.key.calls).toHaveLength(1);
  });

  test('of more than 64 payloads leaves one digest over all in the record: of each length and data, in order', async () => {
    const payloads = await Promise.all(Array.from({ length: 65 }, () => sealed()));
    for (const body of [
      bodyOf(...payloads),
      bodyOf(...payloads.slice(1)),
      bodyOf(...[...payloads].reverse()),
    ]) {
      await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    }
    const [all, fewer, reversed] = running.audit.events.map(({ digests }) => digests);
    expect(all).toEqual([digestOver(payloads)]);
    expect(fewer).toHaveLength(64);
    expect(reversed).toEqual([digestOver([...payloads].reverse())]);
  });

  test('gets an empty list for an empty body', async () => {
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: '{}' });
    expect(answer.body.toString()).toBe('{"payloads":[]}');
  });
});

describe('a payload that is bound to another namespace', () => {
  test('opens for a caller who may decode in both, and both are asked about', async () => {
    const body = bodyOf(await sealed(BILLING), await sealed(ORDERS));
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect(answer.payloads().map(textOf)).toEqual([SECRET, SECRET]);
    expect(running.authorizer.asked).toEqual([
      `admin@example.com decode ${ORDERS}`,
      `admin@example.com decode ${BILLING}`,
    ]);
    expect(running.audit.events[0]?.namespace).toEqual({ claimed: ORDERS, bound: [BILLING, ORDERS] });
  });

  test('is on record under its own namespace, with what allowed it there', async () => {
    running.authorizer.rules.set(BILLING, 3);
    const body = bodyOf(await sealed(BILLING), await sealed(ORDERS), await sealed(BILLING));
    await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect(running.audit.events[0]).toMatchObject({
      why: { rule: 0 },
      alsoOpened: [
        { namespace: BILLING, payloads: 2, rule: 3, role: 'namespace:admin', source: 'static', ageMs: 1_000 },
      ],
      payloads: { opened: 3 },
    });
  });

  test('is on record before all names that others claim, and each of those is counted', async () => {
    const own = await sealed(ORDERS);
    const claiming = (namespace: string): Payload => ({
      ...own,
      metadata: { ...own.metadata, 'encryption-namespace': new Uint8Array(Buffer.from(namespace)) },
    });
    const junk = Array.from({ length: 101 }, (_, index) => `made-up.${index}`);
    const body = bodyOf(...junk.map(claiming), await sealed(BILLING));
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect(textOf(answer.payloads().at(-1))).toBe(SECRET);
    expect(running.audit.events[0]).toMatchObject({
      namespace: { claimed: ORDERS, bound: [BILLING, ...junk] },
      alsoOpened: [{ namespace: BILLING, payloads: 1 }],
      payloads: { opened: 1, failed: 101 },
    });
  });

  test('is on record as opened only where it was: not where it failed or was refused', async () => {
    const foreign = await sealed(BILLING);
    const bad = { ...foreign, data: new Uint8Array((foreign.data ?? []).length) };
    running.authorizer.closed.add('closed.a1b2c');
    const body = bodyOf(bad, await sealed('closed.a1b2c'), await sealed(ORDERS));
    await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect(running.audit.events[0]).toMatchObject({
      namespace: { bound: [ORDERS, BILLING, 'closed.a1b2c'] },
      alsoOpened: [],
      payloads: { opened: 1, failed: 1, refused: 1 },
    });
  });

  test('stays closed in a batch where its own namespace is not allowed; the rest opens', async () => {
    running.authorizer.closed.add(BILLING);
    const foreign = await sealed(BILLING);
    const body = bodyOf(foreign, await sealed(ORDERS));
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect(answer.status).toBe(200);
    expect(asJson(answer.payloads()[0])).toEqual(asJson(foreign));
    expect(textOf(answer.payloads()[1])).toBe(SECRET);
    expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 1, refused: 1 });
  });

  test('is a 403 where nothing else was sealed, and asks no key service', async () => {
    running.authorizer.closed.add(BILLING);
    const body = bodyOf(await sealed(BILLING), plainPayload('in the clear'));
    running.dataKeys.clear();
    running.key.calls.length = 0;
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect([answer.status, answer.code()]).toEqual([403, 'role_missing']);
    expect(running.key.calls).toEqual([]);
    expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 0, refused: 1 });
  });

  test('closes no other where nobody can tell the roles on its own; alone it is a 503', async () => {
    await restart({ options: { denied: 'encrypted' } });
    running.authorizer.untold.add(BILLING);
    const foreign = await sealed(BILLING);
    const body = bodyOf(foreign, await sealed(ORDERS));
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect([answer.status, asJson(answer.payloads()[0])]).toEqual([200, asJson(foreign)]);
    expect(textOf(answer.payloads()[1])).toBe(SECRET);
    const alone = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(foreign) });
    expect([alone.status, alone.code()]).toEqual([503, 'authz_unavailable']);
  });

  test('has two seconds for its roles to be told, and leaves the rest of the time to the keys', async () => {
    const [foreign, own] = [await sealed(BILLING), await sealed(ORDERS)];
    running.authorizer.silent.add(BILLING);
    running.dataKeys.clear();
    running.key.calls.length = 0;
    let open = (): void => undefined;
    running.key.gate = new Promise((resolve) => {
      open = resolve;
    });
    const asked = running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(foreign, own) });
    await expect.poll(() => running.key.calls, { timeout: 10_000 }).toHaveLength(1);
    setTimeout(open, 300); // the key service takes its time
    const answer = await asked;
    expect([answer.status, textOf(answer.payloads()[1])]).toEqual([200, SECRET]);
    expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 1, failed: 1 });
  });

  test('for which no key is configured has nobody asked for roles', async () => {
    await restart({ entries: (key) => [{ namespaces: [ORDERS], wrap: () => key, sharesKey: true }] });
    const own = await sealed(ORDERS);
    const made = { ...own, metadata: { ...own.metadata, 'encryption-namespace': Buffer.from('made.up') } };
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(made, own) });
    expect([answer.status, textOf(answer.payloads()[1])]).toEqual([200, SECRET]);
    expect(running.authorizer.asked).toEqual([`admin@example.com decode ${ORDERS}`]);
    expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 1, failed: 1 });
  });

  test('stays closed beyond a dozen such namespaces', async () => {
    const others = await Promise.all(Array.from({ length: 15 }, (_, index) => sealed(`n${index}.a1b2c`)));
    const body = bodyOf(...others, await sealed(ORDERS));
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect(answer.status).toBe(200);
    expect(running.authorizer.asked).toHaveLength(13);
    expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 13, refused: 3 });
  });

  test('stays closed when the requested namespace is not allowed, whatever its own says', async () => {
    running.authorizer.closed.add(ORDERS);
    const answer = await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      body: bodyOf(await sealed(BILLING)),
    });
    expect([answer.status, answer.code()]).toEqual([403, 'role_missing']);
  });
});

describe('a payload that binds no namespace', () => {
  const jwt = (key: FakeWrappingKey): KeyringEntry[] => [
    { namespaces: [ORDERS], wrap: () => key, write: 'encryption-jwt', sharesKey: true },
    { namespaces: [BILLING], wrap: () => key, reads: ['encryption-jwt'], sharesKey: false },
  ];

  test('opens only with the keys of the requested namespace, and never once two share a key', async () => {
    await restart({ entries: jwt });
    const payload = await sealed(ORDERS);
    const ask = (namespace: string): ReturnType<RunningServer['ask']> =>
      running.ask('/decode', { as: 'admin', namespace, body: bodyOf(payload) });
    expect(textOf((await ask(ORDERS)).payloads()[0])).toBe(SECRET);
    expect((await ask(BILLING)).status).toBe(422);
    expect((await ask(ORDERS)).code()).toBe('format_not_enabled');
  });
});

describe('what fails to open', () => {
  test('comes back unchanged and is counted where another payload opens', async () => {
    const bad = await broken();
    const answer = await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      body: bodyOf(bad, claimsUnknown, await sealed()),
    });
    expect(answer.status).toBe(200);
    expect(answer.payloads().slice(0, 2).map(asJson)).toEqual([bad, claimsUnknown].map(asJson));
    expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 1, failed: 2 });
  });

  test('is a 422 where nothing opens', async () => {
    const alone = await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      body: bodyOf(await broken()),
    });
    expect([alone.status, alone.code()]).toEqual([422, 'not_opened']);
    const unknown = await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      body: bodyOf(claimsUnknown),
    });
    expect([unknown.status, unknown.code()]).toEqual([422, 'format_not_enabled']);
    const mixed = await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      body: bodyOf(claimsUnknown, await broken(), plainPayload('in the clear')),
    });
    expect([mixed.status, mixed.code()]).toEqual([422, 'not_opened']);
    expect(running.audit.events.map(({ outcome }) => outcome)).toEqual([
      'not_opened',
      'format_not_enabled',
      'not_opened',
    ]);
  });

  test('is a 422 where one was refused and the other failed', async () => {
    running.authorizer.closed.add(BILLING);
    const answer = await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      body: bodyOf(await sealed(BILLING), await broken()),
    });
    expect(answer.status).toBe(422);
  });

  test('because the key is disabled is a 422 when it was the only one', async () => {
    const payload = await sealed();
    running.dataKeys.clear();
    running.key.failure = new KeyholeError('key_gone', 'the key is disabled');
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(payload) });
    expect([answer.status, answer.code()]).toEqual([422, 'not_opened']);
  });

  test('for a while, since the key service is down, is a 503 for the whole request', async () => {
    const body = bodyOf(await sealed(), claimsUnknown, plainPayload('in the clear'));
    running.dataKeys.clear();
    running.key.failure = new KeyholeError('key_unavailable', 'the key service cannot be reached');
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect([answer.status, answer.code()]).toEqual([503, 'kms_unavailable']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(running.audit.events[0]).toMatchObject({ status: 503, outcome: 'kms_unavailable' });
  });

  test('for a while is a 503 even where another payload would open', async () => {
    const [orders, billing] = [await sealed(ORDERS), await sealed(BILLING)];
    running.dataKeys.clear();
    await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(orders) });
    running.key.failure = new KeyholeError('key_unavailable', 'the key service cannot be reached');
    const ask = (...payloads: Payload[]): ReturnType<RunningServer['ask']> =>
      running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(...payloads) });
    expect((await ask(orders)).status).toBe(200);
    expect((await ask(orders, billing)).code()).toBe('kms_unavailable');
    expect((await ask(billing, orders)).code()).toBe('kms_unavailable');
  });

  test('is refused beyond 1000 distinct data keys', async () => {
    const payload = await sealed();
    const many = Array.from({ length: 1_001 }, (_, index) => ({
      ...payload,
      metadata: { ...payload.metadata, 'encryption-data-key': new Uint8Array(Buffer.from(`key ${index}`)) },
    }));
    const body = bodyOf(...(many as Payload[]));
    const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
    expect([answer.status, answer.code()]).toEqual([422, 'payload_invalid']);
    expect(running.key.calls.filter(({ operation }) => operation === 'unwrap')).toEqual([]);
  });

  test('because it was never sealed and the namespace refuses that, is a 422, and counted', async () => {
    const metrics = createMetrics();
    const told: KeyholeEvent[] = [];
    vi.spyOn(metrics, 'observer').mockReturnValue((event) => told.push(event));
    await restart({
      metrics,
      entries: (key) => [{ namespaces: ['*'], wrap: () => key, sharesKey: true, passThrough: 'refuse' }],
    });
    const plain = plainPayload('in the clear');
    const alone = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(plain) });
    expect([alone.status, alone.code()]).toEqual([422, 'payload_invalid']);
    expect(told).toEqual([
      { type: 'failed', namespace: ORDERS, format: undefined, during: 'open', code: 'plaintext_refused' },
    ]);
    const mixed = await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      body: bodyOf(plain, await sealed()),
    });
    expect(mixed.status).toBe(200);
    expect(running.audit.events[1]?.payloads).toMatchObject({ opened: 1, failed: 1 });
  });
});

describe('somebody who may not decode', () => {
  const fromUi = { origin: UI };

  test('gets a 403 that says which role is missing, and is on record', async () => {
    const answer = await running.ask('/decode', {
      as: 'reader',
      namespace: ORDERS,
      body: bodyOf(await sealed()),
    });
    expect(answer.status).toBe(403);
    expect(answer.json()).toEqual({
      error: {
        code: 'role_missing',
        message: `to decode in ${ORDERS} you need one of: namespace:admin`,
        requestId: answer.headers['x-request-id'],
      },
    });
    expect(running.audit.events).toMatchObject([{ status: 403, outcome: 'role_missing', why: undefined }]);
  });

  test('gets the payloads untouched where `denied` is `encrypted`; somebody unknown does not', async () => {
    await restart({ options: { denied: 'encrypted' } });
    const payload = await sealed();
    const body = bodyOf(payload, plainPayload('in the clear'));
    const known = await running.ask('/decode', { as: 'reader', namespace: ORDERS, body });
    expect(known.status).toBe(200);
    expect(known.payloads().map(asJson)).toEqual([payload, plainPayload('in the clear')].map(asJson));
    expect(running.audit.events).toMatchObject([
      { status: 200, outcome: 'role_missing', why: undefined, payloads: { opened: 0, refused: 1 } },
    ]);
    expect((await running.ask('/decode', { namespace: ORDERS, body, headers: fromUi })).status).toBe(401);
  });

  test('gets a sentence in place of each sealed payload where `denied` is `notice`, in a browser only', async () => {
    await restart({ options: { denied: 'notice' } });
    const body = bodyOf(await sealed(), plainPayload('in the clear'), claimsUnknown);
    const inBrowser = await running.ask('/decode', {
      as: 'reader',
      namespace: ORDERS,
      body,
      headers: fromUi,
    });
    expect(inBrowser.status).toBe(200);
    const notice = `[keyhole notice] to decode in ${ORDERS} you need one of: namespace:admin`;
    expect(inBrowser.payloads().map(textOf)).toEqual([notice, 'in the clear', notice]);
    const elsewhere = await running.ask('/decode', { as: 'reader', namespace: ORDERS, body });
    expect(elsewhere.status).toBe(403);
  });

  test('gets no notice who may encode there: the UI would fill a form with it', async () => {
    await restart({ options: { denied: 'notice' } });
    const answer = await running.ask('/decode', {
      as: 'writer',
      namespace: ORDERS,
      body: bodyOf(await sealed()),
      headers: fromUi,
    });
    expect(answer.status).toBe(403);
  });

  test('is told to sign in where `denied` is `notice` and there is no token, but not with a bad one', async () => {
    await restart({ options: { denied: 'notice' } });
    const body = bodyOf(await sealed());
    const stranger = await running.ask('/decode', { namespace: ORDERS, body, headers: fromUi });
    expect(stranger.status).toBe(200);
    expect(textOf(stranger.payloads()[0])).toBe(`[keyhole notice] you are not signed in: sign in at ${UI}`);
    const forged = { ...fromUi, authorization: 'Bearer forged' };
    expect((await running.ask('/decode', { namespace: ORDERS, body, headers: forged })).status).toBe(401);
    expect((await running.ask('/decode', { namespace: ORDERS, body })).status).toBe(401);
    expect(running.audit.events).toEqual([]);
  });

  test.each([
    ['more than 256 KiB', 1, 300_000],
    ['more than 64 payloads', 65, 10],
  ])('gets a 401 without a token for %s', async (_, count, bytes) => {
    await restart({ options: { denied: 'notice' } });
    const payloads = Array.from({ length: count }, () => plainPayload('x'.repeat(bytes)));
    const answer = await running.ask('/decode', {
      namespace: ORDERS,
      body: bodyOf(...payloads),
      headers: fromUi,
    });
    expect([answer.status, answer.code()]).toEqual([401, 'token_missing']);
  });
});
