// Data keys: their limits are never passed, their calls never repeated, their caches end.
import { beforeEach, describe, expect, test } from 'vitest';
import { KeyholeError, Keyring } from '../../src/index.js';
import {
  DataKeys,
  MAX_BYTES,
  MAX_MESSAGES,
  type Clock,
  type DataKeyReference,
  type SealingKey,
} from '../../src/keys/data-keys.js';
import { KeyCalls } from '../../src/keys/key-calls.js';
import { FakeWrappingKey } from '../../src/testing.js';

const NAMESPACE = 'orders.a1b2c';
const MINUTE_MS = 60_000;

class FakeClock implements Clock {
  wallMs = 1_800_000_000_000;
  monotonicMs = 5_000;
  wall = (): number => this.wallMs;
  monotonic = (): number => this.monotonicMs;
  pass(ms: number): void {
    this.wallMs += ms;
    this.monotonicMs += ms;
  }
}

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

  test('dies by rotate(), one in the making included', async () => {
    const making = dataKeys.live(NAMESPACE, 1);
    dataKeys.rotate();
    const first = await making;
    const second = await dataKeys.live(NAMESPACE, 1);
    dataKeys.rotate();
    const third = await dataKeys.live(NAMESPACE, 1);
    expect(new Set([first, second, third]).size).toBe(3);
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
