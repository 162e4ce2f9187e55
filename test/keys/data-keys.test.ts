// Data keys: their limits are never passed, their calls never repeated, their caches end.
import { beforeEach, describe, expect, test } from 'vitest';
import { KeyholeError, Keyring } from '../../src/index.js';
import { DataKeys, type DataKeyReference, type SealingKey } from '../../src/keys/data-keys.js';
import { KeyCalls } from '../../src/keys/key-calls.js';
import { MAX_BYTES, MAX_MESSAGES } from '../../src/keys/sealing-keys.js';
import { FakeWrappingKey } from '../../src/testing.js';
import { FakeClock } from '../fake-clock.js';

const NAMESPACE = 'orders.a1b2c';
const MINUTE_MS = 60_000;

let key: FakeWrappingKey;
let clock: FakeClock;
let dataKeys: DataKeys;

function makeDataKeys(limits: { cacheEntries?: number } = {}): DataKeys {
  const keyring = new Keyring([{ namespaces: ['*'], wrap: () => key, sharesKey: false }]);
  return new DataKeys({ keyring, calls: new KeyCalls({ now: clock.monotonic }), clock, ...limits });
}

beforeEach(() => {
  key = new FakeWrappingKey();
  clock = new FakeClock();
  dataKeys = makeDataKeys();
});

const generated = (): number => key.calls.filter(({ operation }) => operation === 'generate').length;
const unwrapped = (): number => key.calls.filter(({ operation }) => operation === 'unwrap').length;

/** A key service whose every answer takes a quarter of an hour. */
function ageing(generate: FakeWrappingKey['generateDataKey']): FakeWrappingKey['generateDataKey'] {
  return async (context) => {
    const answer = await generate(context);
    clock.pass(15 * MINUTE_MS);
    return answer;
  };
}

function referenceTo({ keyId, wrapped, commitment }: SealingKey): DataKeyReference {
  return { namespace: NAMESPACE, bound: true, keyId, wrapped, commitment: commitment ?? null };
}

describe('the live key of a namespace', () => {
  test('is made once for 150 that ask at the same time', async () => {
    const keys = await Promise.all(Array.from({ length: 150 }, async () => dataKeys.live(NAMESPACE, 1)));
    expect(new Set(keys).size).toBe(1);
    expect(generated()).toBe(1);
  });

  test('is answered without a promise once it is there', async () => {
    const first = await dataKeys.live(NAMESPACE, 1);
    expect(dataKeys.live(NAMESPACE, 1)).toBe(first);
  });

  test('is not shared between namespaces', async () => {
    const [a, b] = await Promise.all(
      [NAMESPACE, 'billing.a1b2c'].map(async (namespace) => dataKeys.live(namespace, 1)),
    );
    expect(a?.wrapped).not.toEqual(b?.wrapped);
  });

  test('seals its 2^20th message and not one more, with 64 writers at once', async () => {
    const first = await dataKeys.live(NAMESPACE, 0);
    for (let message = 1; message < MAX_MESSAGES - 32; message++) void dataKeys.live(NAMESPACE, 0);
    const keys = await Promise.all(Array.from({ length: 64 }, async () => dataKeys.live(NAMESPACE, 0)));
    expect(keys.filter((each) => each === first)).toHaveLength(32);
    expect(new Set(keys).size).toBe(2);
  });

  test('ends before its bytes pass 16 GiB', async () => {
    const first = await dataKeys.live(NAMESPACE, MAX_BYTES - 1);
    expect(dataKeys.live(NAMESPACE, 1)).toBe(first);
    expect(await dataKeys.live(NAMESPACE, 1)).not.toBe(first);
  });

  test('ends at its age', async () => {
    const first = await dataKeys.live(NAMESPACE, 1);
    clock.pass(15 * MINUTE_MS);
    expect(await dataKeys.live(NAMESPACE, 1)).not.toBe(first);
  });

  test('is renewed ahead at half its age, so that a short outage goes unseen', async () => {
    const first = await dataKeys.live(NAMESPACE, 1);
    clock.pass(8 * MINUTE_MS);
    key.failure = new KeyholeError('key_throttled', 'an outage', { retryAfterMs: 30_000 });
    expect(dataKeys.live(NAMESPACE, 1)).toBe(first);
    await expect.poll(generated).toBe(2);
    key.failure = undefined;
    clock.pass(MINUTE_MS);
    expect(dataKeys.live(NAMESPACE, 1)).toBe(first);
    await expect.poll(() => dataKeys.live(NAMESPACE, 1) !== first).toBe(true);
  });

  test('dies when the clocks have drifted apart: the machine was suspended or cloned', async () => {
    const first = await dataKeys.live(NAMESPACE, 1);
    clock.wallMs += 5_001;
    expect(await dataKeys.live(NAMESPACE, 1)).not.toBe(first);
  });

  test('dies by rotate()', async () => {
    const first = await dataKeys.live(NAMESPACE, 1);
    dataKeys.rotate();
    expect(await dataKeys.live(NAMESPACE, 1)).not.toBe(first);
  });

  test('that was in the making when rotate() was called seals nothing', async () => {
    const waiting = dataKeys.live(NAMESPACE, 1);
    await expect.poll(generated).toBe(1);
    dataKeys.rotate();
    const key = await waiting;
    expect(generated()).toBe(2);
    expect(dataKeys.live(NAMESPACE, 1)).toBe(key);
  });

  test('whose successor cannot be made asks for it every five seconds, not with every payload', async () => {
    await dataKeys.live(NAMESPACE, 1);
    clock.pass(8 * MINUTE_MS);
    key.failure = new KeyholeError('key_answer_invalid', 'garbage');
    const sealMany = async (): Promise<void> => {
      for (let payload = 0; payload < 100; payload++) {
        await dataKeys.live(NAMESPACE, 1);
        await new Promise(setImmediate);
      }
    };
    await sealMany();
    expect(generated()).toBe(2);
    clock.pass(5_000);
    await sealMany();
    expect(generated()).toBe(3);
  });

  test('that is too old before it arrives is given up after three, not asked for for ever', async () => {
    key.generateDataKey = ageing(key.generateDataKey.bind(key));
    await expect(dataKeys.live(NAMESPACE, 1)).rejects.toMatchObject({ code: 'key_unavailable' });
    expect(generated()).toBe(3);
  });

  test('of a format that binds no namespace seals no more once its wrapping key serves two', async () => {
    const shared = new Keyring([
      { namespaces: [NAMESPACE], wrap: () => key, sharesKey: true, write: 'encryption-jwt' },
      { namespaces: ['billing.a1b2c'], wrap: () => key, sharesKey: true },
    ]);
    dataKeys = new DataKeys({ keyring: shared, calls: new KeyCalls(), clock });
    await dataKeys.live(NAMESPACE, 1);
    await dataKeys.live('billing.a1b2c', 1);
    expect(() => dataKeys.live(NAMESPACE, 1)).toThrow(
      expect.objectContaining({ code: 'format_not_enabled' }),
    );
  });

  test.each([
    ['derived from', 'id', 32],
    ['refused for its length', 'id', 33],
    ['refused for a key id that no payload can record', 'a\nb', 32],
  ])('has its own bytes zeroed once it was %s', async (_, keyId, bytes) => {
    const plaintext = Buffer.alloc(bytes, 7);
    key.generateDataKey = () => Promise.resolve({ keyId, plaintext, wrapped: Buffer.from('w') });
    await Promise.allSettled([dataKeys.live(NAMESPACE, 1)]);
    expect(plaintext.every((byte) => byte === 0)).toBe(true);
  });

  test('that comes after the deadline has its bytes zeroed', async () => {
    const plaintext = Buffer.alloc(32, 7);
    const calls = new KeyCalls({ deadlineMs: 5 });
    const keyring = new Keyring([{ namespaces: ['*'], wrap: () => key, sharesKey: false }]);
    dataKeys = new DataKeys({ keyring, calls, clock });
    let answer: () => void = () => undefined;
    key.generateDataKey = () =>
      new Promise((resolve) => {
        answer = () => {
          resolve({ keyId: 'id', plaintext, wrapped: Buffer.from('w') });
        };
      });
    await expect(dataKeys.live(NAMESPACE, 1)).rejects.toMatchObject({ code: 'key_unavailable' });
    answer();
    await expect.poll(() => plaintext.every((byte) => byte === 0)).toBe(true);
  });
});

describe('an opened key', () => {
  let sealing: SealingKey;
  beforeEach(async () => {
    sealing = await dataKeys.live(NAMESPACE, 1);
  });

  test('costs one call for 1000 payloads, also when 150 ask at once', async () => {
    await Promise.all(Array.from({ length: 150 }, async () => dataKeys.opening(referenceTo(sealing))));
    for (let i = 0; i < 850; i++) expect(dataKeys.opening(referenceTo(sealing))).not.toBeInstanceOf(Promise);
    expect(unwrapped()).toBe(1);
  });

  test('is forgotten five minutes after it was unwrapped, however often it is used', async () => {
    await dataKeys.opening(referenceTo(sealing));
    clock.pass(299_999);
    expect(dataKeys.opening(referenceTo(sealing))).not.toBeInstanceOf(Promise);
    clock.pass(1);
    key.failure = new KeyholeError('key_gone', 'disabled');
    await expect(dataKeys.opening(referenceTo(sealing))).rejects.toMatchObject({ code: 'key_gone' });
  });

  test('is forgotten by the wall clock too, since the other one stops in a suspended machine', async () => {
    await dataKeys.opening(referenceTo(sealing));
    clock.wallMs += 300_000;
    await dataKeys.opening(referenceTo(sealing));
    expect(unwrapped()).toBe(2);
  });

  test('is not kept beyond the cache’s bound', async () => {
    dataKeys = makeDataKeys({ cacheEntries: 2 });
    const references: DataKeyReference[] = [];
    for (let i = 0; i < 3; i++) {
      dataKeys.rotate();
      references.push(referenceTo(await dataKeys.live(NAMESPACE, 1)));
    }
    for (const reference of references) await dataKeys.opening(reference);
    expect(dataKeys.opening(references[2] ?? referenceTo(sealing))).not.toBeInstanceOf(Promise);
    expect(dataKeys.opening(references[0] ?? referenceTo(sealing))).toBeInstanceOf(Promise);
  });

  test('opens nothing under another commitment, cached or not', async () => {
    const forged = { ...referenceTo(sealing), commitment: Buffer.alloc(32) };
    await expect(dataKeys.opening(forged)).rejects.toMatchObject({ code: 'not_opened' });
    expect(() => dataKeys.opening(forged)).toThrow(expect.objectContaining({ code: 'not_opened' }));
  });

  test('does not unwrap for another namespace', async () => {
    const foreign = { ...referenceTo(sealing), namespace: 'billing.a1b2c' };
    await expect(dataKeys.opening(foreign)).rejects.toMatchObject({ code: 'key_wrong_context' });
  });

  test('refused for good is not asked for again within ten seconds', async () => {
    key.failure = new KeyholeError('key_denied', 'denied');
    for (let i = 0; i < 5; i++)
      await expect(dataKeys.opening(referenceTo(sealing))).rejects.toMatchObject({ code: 'key_denied' });
    expect(unwrapped()).toBe(1);
    key.failure = undefined;
    clock.pass(10_000);
    await expect(dataKeys.opening(referenceTo(sealing))).resolves.toBeDefined();
  });

  test('is forgotten by clear()', async () => {
    await dataKeys.opening(referenceTo(sealing));
    dataKeys.clear();
    await dataKeys.opening(referenceTo(sealing));
    expect(unwrapped()).toBe(2);
  });
});
