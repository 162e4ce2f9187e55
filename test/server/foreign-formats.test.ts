// What /decode makes of foreign formats and of compression around them: judged inside, recorded under their keys.
import { hash, randomBytes } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import type { Payload } from '@temporalio/common';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writePayload } from '../../src/codec/payload-proto.js';
import { plantSecret } from '../streams.js';
import { sampleSealed } from '../codec/foreign-payloads.js';
import { readForeignVectors } from '../vectors/vectors.js';
import {
  asJson,
  BILLING,
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  textOf,
  type Answer,
  type RunningServer,
} from './running-server.js';

const SECRET = plantSecret('what another program sealed');
const KEY = plantSecret(randomBytes(32));
const [oneToken, otherToken] = readForeignVectors('fernet.python');

let running: RunningServer;
beforeEach(async () => {
  running = await startServer({
    entries: (key) => [
      {
        namespaces: [ORDERS],
        wrap: () => key,
        sharesKey: true,
        reads: [
          'compression',
          { format: 'static-key', keys: [{ id: 'team', secret: KEY }] },
          {
            format: 'fernet',
            keys: [oneToken, otherToken].map((vector, index) => ({
              id: `fernet-${index}`,
              secret: vector?.secret ?? KEY,
            })),
          },
        ],
      },
      { namespaces: [BILLING], wrap: () => key, sharesKey: true },
    ],
  });
});
afterEach(() => running.stop());

const decode = (...payloads: Payload[]): Promise<Answer> =>
  running.ask('/decode', { as: 'admin', namespace: ORDERS, body: bodyOf(...payloads) });

function zlibbed(payload: Payload): Payload {
  return {
    metadata: { encoding: new Uint8Array(Buffer.from('binary/zlib')) },
    data: new Uint8Array(deflateSync(writePayload(payload))),
  };
}

const sample = (): Payload => sampleSealed(plainPayload(SECRET), KEY, 'team');

test('a foreign payload opens, compressed around it or not, and the record names its key', async () => {
  const answer = await decode(sample(), zlibbed(sample()));
  expect(answer.payloads().map(textOf)).toEqual([SECRET, SECRET]);
  expect(running.audit.events[0]).toMatchObject({ payloads: { opened: 2, failed: 0 }, keys: ['team'] });
});

test('each of the keys that opened something is in the record, where payloads say nothing of them', async () => {
  const answer = await decode(oneToken?.payload ?? {}, otherToken?.payload ?? {});
  expect(answer.status).toBe(200);
  expect([...(running.audit.events[0]?.keys ?? [])].sort()).toEqual(['fernet-0', 'fernet-1']);
});

test('a compression around it hides no namespace: the payload inside is judged on its own', async () => {
  running.authorizer.closed.add(BILLING);
  const theirs = await running.cipher.seal(plainPayload(SECRET), BILLING);
  const answer = await decode(zlibbed(theirs));
  expect([answer.status, answer.code()]).toEqual([403, 'role_missing']);
  expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 0, refused: 1 });
});

test('a compression around it gives a payload no other digest in the record', async () => {
  const payload = sample();
  const large = Array.from({ length: 65 }, () => payload);
  await decode(payload);
  await decode(zlibbed(payload));
  await decode(...large);
  await decode(...large.map(zlibbed));
  const [plain, compressed, all, allCompressed] = running.audit.events.map(({ digests }) => digests);
  expect(plain).toEqual([hash('sha256', payload.data ?? '')]);
  expect(compressed).toEqual(plain);
  expect(all).toHaveLength(1);
  expect(allCompressed).toEqual(all);
});

test('what claims to be compressed and is not has the digest of what came', async () => {
  const bad = { ...zlibbed(plainPayload('x')), data: new Uint8Array(20) };
  await decode(bad);
  expect(running.audit.events[0]?.digests).toEqual([hash('sha256', bad.data)]);
});

test('what is only compressed comes out decompressed, and does not count as sealed', async () => {
  const alone = await decode(zlibbed(plainPayload('in the clear')));
  expect(textOf(alone.payloads()[0])).toBe('in the clear');
  const wrongKey = sampleSealed(plainPayload(SECRET), randomBytes(32), 'team');
  const beside = await decode(zlibbed(plainPayload('in the clear')), wrongKey);
  expect([beside.status, beside.code()]).toEqual([422, 'not_opened']);
});

test('what claims to be compressed and is not comes back as it was, and is counted', async () => {
  const bad = { ...zlibbed(plainPayload('x')), data: new Uint8Array(20) };
  const answer = await decode(bad, sample());
  expect(answer.payloads().map(asJson)[0]).toEqual(asJson(bad));
  expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 1, failed: 1 });
  expect((await decode(bad)).code()).toBe('payload_invalid');
});

test('payloads that are harmless one by one, and together larger than memory, come back as they were from 64 MiB on', async () => {
  const data = Buffer.alloc(10 * 2 ** 20, 'a sentence that comes again and again; ');
  randomBytes(60_000).copy(data); // so that it is no bomb by itself
  const large = zlibbed({ data });
  const answer = await decode(sample(), ...Array.from({ length: 10 }, () => large));
  const sizes = answer.payloads().map((payload) => payload.data?.length);
  expect(sizes.filter((size) => size === data.length)).toHaveLength(6);
  expect(sizes.filter((size) => size === large.data?.length)).toHaveLength(4);
  expect(running.audit.events[0]?.payloads).toMatchObject({ opened: 1, passed: 6, failed: 4 });
});

test('a format that is not enabled here has its code', async () => {
  const payload = sampleSealed(plainPayload(SECRET), KEY, 'team');
  const answer = await running.ask('/decode', { as: 'admin', namespace: BILLING, body: bodyOf(payload) });
  expect([answer.status, answer.code()]).toEqual([422, 'format_not_enabled']);
});
