// What /encode answers: everything sealed, or nothing.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Payload } from '@temporalio/common';
import { readMark } from '../../src/codec/marks.js';
import { KeyholeError } from '../../src/errors.js';
import { plantSecret } from '../streams.js';
import {
  asJson,
  BILLING,
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  textOf,
  type RunningServer,
} from './running-server.js';

const SECRET = plantSecret('a form was filled with this');

let running: RunningServer;

beforeEach(async () => {
  running = await startServer();
});

afterEach(async () => {
  await running.stop();
});

test('someone who may encode gets each payload sealed, and it opens again', async () => {
  const body = bodyOf(plainPayload(SECRET), plainPayload('other'));
  const answer = await running.ask('/encode', { as: 'writer', namespace: ORDERS, body });
  expect(answer.status).toBe(200);
  const sealed = answer.payloads();
  expect(sealed.map(readMark)).toMatchObject([
    { kind: 'sealed', format: 'keyhole/v1', namespace: ORDERS },
    { kind: 'sealed', format: 'keyhole/v1', namespace: ORDERS },
  ]);
  const opened = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(...sealed) });
  expect(opened.payloads().map(textOf)).toEqual([SECRET, 'other']);
  expect(running.audit.events[0]).toMatchObject({
    action: 'encode',
    status: 200,
    outcome: 'ok',
    keys: ['fake-key'],
    payloads: { opened: 0, sealed: 2, passed: 0, failed: 0, refused: 0 },
    digests: [expect.any(String), expect.any(String)],
  });
});

test('what is ours already is left alone; what is bound to another namespace is sealed anew', async () => {
  const own: Payload = await running.cipher.seal(plainPayload(SECRET), ORDERS);
  const foreign: Payload = await running.cipher.seal(plainPayload(SECRET), BILLING);
  const answer = await running.ask('/encode', {
    as: 'writer',
    namespace: ORDERS,
    body: bodyOf(own, foreign),
  });
  const [first, second] = answer.payloads();
  expect(asJson(first)).toEqual(asJson(own));
  expect(second === undefined ? undefined : readMark(second)).toMatchObject({ namespace: ORDERS });
  expect(running.audit.events[0]?.payloads).toMatchObject({ sealed: 1, passed: 1 });
});

test('someone who may not is refused with a 403, whatever `denied` says', async () => {
  for (const denied of ['error', 'encrypted', 'notice'] as const) {
    await running.stop();
    running = await startServer({ options: { denied } });
    const headers = { origin: 'https://ui.example.com' };
    const answer = await running.ask('/encode', {
      as: 'reader',
      namespace: ORDERS,
      body: bodyOf(plainPayload(SECRET)),
      headers,
    });
    expect([answer.status, answer.code()]).toEqual([403, 'role_missing']);
    const stranger = await running.ask('/encode', {
      namespace: ORDERS,
      body: bodyOf(plainPayload(SECRET)),
      headers,
    });
    expect(stranger.status).toBe(401);
  }
});

test.each([
  ['as it is', '"[keyhole notice] you may not"'],
  ['alone', '"[keyhole notice]"'],
  ['behind white space', ' \n\t"[keyhole notice] x"'],
  ['written with escapes', '"\\u005Bkeyhole\\u0020\\u006eotice\\u005d x"'],
])('a notice is not sealed in place of what it hides: %s', async (_, json) => {
  const notice: Payload = { metadata: {}, data: new Uint8Array(Buffer.from(json)) };
  const answer = await running.ask('/encode', {
    as: 'writer',
    namespace: ORDERS,
    body: bodyOf(plainPayload('a'), notice),
  });
  expect([answer.status, answer.code()]).toEqual([422, 'payload_invalid']);
  expect(running.key.calls).toEqual([]);
});

test.each([
  '"about [keyhole notice]"',
  '["[keyhole notice] x"]',
  '"[keyhole  notice]"',
  '{"a":"[keyhole notice]"}',
  '""',
])('what only speaks of one is: %s', async (json) => {
  const payload: Payload = { metadata: {}, data: new Uint8Array(Buffer.from(json)) };
  const answer = await running.ask('/encode', { as: 'writer', namespace: ORDERS, body: bodyOf(payload) });
  expect(answer.status).toBe(200);
});

test.each([
  ['cannot be reached', new KeyholeError('key_unavailable', 'down'), 503, 'kms_unavailable'],
  ['refuses us the key', new KeyholeError('key_denied', 'no'), 422, 'not_opened'],
  ['breaks in its own way', new TypeError('broken'), 503, 'kms_unavailable'],
])('nothing comes back where the key service %s', async (_, failure, status, code) => {
  running.key.failure = failure;
  const body = bodyOf(plainPayload(SECRET), plainPayload('other'));
  const answer = await running.ask('/encode', { as: 'writer', namespace: ORDERS, body });
  expect([answer.status, answer.code()]).toEqual([status, code]);
  expect(answer.body.toString()).not.toContain(Buffer.from(SECRET).toString('base64').slice(0, 12));
});

test('nothing comes back where the key service answers a short key', async () => {
  running.key.dataKeyBytes = 16;
  const answer = await running.ask('/encode', {
    as: 'writer',
    namespace: ORDERS,
    body: bodyOf(plainPayload(SECRET)),
  });
  expect([answer.status, answer.code()]).toEqual([503, 'kms_unavailable']);
});

test('a namespace without a key is a 422', async () => {
  const answer = await running.ask('/encode', {
    as: 'writer',
    namespace: 'orders.z9',
    body: bodyOf(plainPayload(SECRET)),
  });
  expect([answer.status, answer.code()]).toEqual([422, 'not_opened']);
});
