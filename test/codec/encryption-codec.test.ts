// What a worker's codec seals, opens, passes and refuses.
import type { Payload } from '@temporalio/common';
import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import {
  EncryptionCodec,
  isKeyholeError,
  KeyholeError,
  Keyring,
  LocalWrappingKey,
  type KeyholeEvent,
} from '../../src/index.js';
import { FakeWrappingKey } from '../../src/testing.js';
import { plantSecret } from '../streams.js';
import { anyPayload, contentOf } from './payloads.js';

const NAMESPACE = 'orders.a1b2c';
const SECRET_TEXT = plantSecret('"canary plaintext of the codec tests"');
const plain: Payload = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(SECRET_TEXT) };

let key: FakeWrappingKey;
let codec: EncryptionCodec;
beforeEach(() => {
  key = new FakeWrappingKey();
  codec = new EncryptionCodec({ keys: key, namespace: NAMESPACE });
});

async function sealed(payload: Payload = plain, by = codec): Promise<Payload> {
  const [first] = await by.encode([payload]);
  return first ?? {};
}

/** A copy with one metadata value or the data replaced. */
function changed(payload: Payload, part: string, value: Uint8Array): Payload {
  if (part === 'data') return { ...payload, data: value };
  return { ...payload, metadata: { ...payload.metadata, [part]: value } };
}

describe('sealing', () => {
  test('shows nothing of the payload but the names of format, key and namespace', async () => {
    const { metadata, data } = await sealed();
    expect(Buffer.from(data ?? []).includes('canary')).toBe(false);
    expect(Object.keys(metadata ?? {})).toEqual([
      'encoding',
      'encryption-format',
      'encryption-key-id',
      'encryption-namespace',
      'encryption-data-key',
      'encryption-commitment',
    ]);
    expect(Buffer.from(metadata?.['encoding'] ?? []).toString()).toBe('binary/encrypted');
  });

  test.each(['keyhole/v1', 'encryption-jwt'] as const)(
    'in %s loses nothing of any payload',
    async (write) => {
      const local = new LocalWrappingKey([{ id: 'k', secret: Buffer.alloc(32, 1) }]);
      const both = new EncryptionCodec({ keys: local, namespace: NAMESPACE, write });
      await fc.assert(
        fc.asyncProperty(fc.array(anyPayload, { maxLength: 4 }), async (payloads) => {
          const opened = await both.decode(await both.encode(payloads));
          expect(opened.map(contentOf)).toEqual(payloads.map(contentOf));
        }),
      );
    },
  );

  test('a payload of 4 MB comes back equal', async () => {
    const big = { metadata: {}, data: Buffer.alloc(4 * 2 ** 20, 'x') };
    const [opened] = await codec.decode([await sealed(big)]);
    expect(Buffer.compare(opened?.data ?? Buffer.alloc(0), big.data)).toBe(0);
  });

  test('the same payload twice gives different ciphertexts', async () => {
    const [a, b] = await codec.encode([plain, plain]);
    expect(Buffer.compare(a?.data ?? Buffer.alloc(0), b?.data ?? Buffer.alloc(0))).not.toBe(0);
  });

  test('leaves alone what is sealed for this namespace already, and seals what only looks so', async () => {
    const own = await sealed();
    expect(await codec.encode([own])).toEqual([own]);
    const hollow = changed(own, 'data', Buffer.from(SECRET_TEXT.slice(0, 27)));
    const [again] = await codec.encode([hollow]);
    expect(again).not.toEqual(hollow);
    expect((await codec.decode([again ?? {}])).map(contentOf)).toEqual([contentOf(hollow)]);
  });

  test('an empty list needs no key', async () => {
    expect(await codec.encode([])).toEqual([]);
    expect(await codec.decode([])).toEqual([]);
    expect(key.calls).toEqual([]);
  });

  test('what is sealed for this namespace already is left alone', async () => {
    const once = await sealed();
    expect(await sealed(once)).toBe(once);
  });

  test('what only claims to be sealed is sealed again, and opens to what was claimed', async () => {
    const claim = changed(await sealed(), 'encryption-namespace', Buffer.from('billing.a1b2c'));
    const [opened] = await codec.decode([await sealed(claim)]);
    expect(contentOf(opened)).toEqual(contentOf(claim));
  });

  test('without a namespace from the SDK or the options is refused', async () => {
    const nameless = new EncryptionCodec({ keys: key });
    await expect(nameless.encode([plain])).rejects.toMatchObject({ code: 'namespace_missing' });
  });

  test('the namespace that the SDK names wins over the configured one', async () => {
    const { metadata } =
      (
        await new EncryptionCodec({ keys: key, namespace: NAMESPACE }).encode([plain], {
          namespace: NAMESPACE,
        })
      )[0] ?? {};
    expect(Buffer.from(metadata?.['encryption-namespace'] ?? []).toString()).toBe(NAMESPACE);
    const roaming = new EncryptionCodec({ keys: () => key });
    const [payload] = await roaming.encode([plain], { namespace: 'billing.a1b2c' });
    expect(Buffer.from(payload?.metadata?.['encryption-namespace'] ?? []).toString()).toBe('billing.a1b2c');
  });
});

describe('when sealing fails, no plaintext comes out:', () => {
  test.each([
    [
      'the key service denies the key',
      () => (key.failure = new KeyholeError('key_denied', 'denied')),
      'key_denied',
    ],
    ['the provider throws anything', () => (key.failure = new RangeError('boom')), 'key_unavailable'],
    ['the data key is short', () => (key.dataKeyBytes = 16), 'key_answer_invalid'],
    ['the data key has 33 bytes', () => (key.dataKeyBytes = 33), 'key_answer_invalid'],
    ['the data key is empty', () => (key.dataKeyBytes = 0), 'key_answer_invalid'],
  ])('%s', async (_, breakIt, code) => {
    breakIt();
    const error: unknown = await codec.encode([plain]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'KeyholeError', code });
    expect(isKeyholeError(error) && error.message).not.toContain('canary');
  });

  test('the key service never answers', async () => {
    vi.useFakeTimers();
    try {
      key.gate = new Promise(() => undefined);
      const sealing = codec.encode([plain]);
      const refused = expect(sealing).rejects.toMatchObject({ code: 'key_unavailable' });
      await vi.advanceTimersByTimeAsync(4_000);
      await refused;
    } finally {
      vi.useRealTimers();
    }
  });

  test('one bad payload in a batch rejects the batch', async () => {
    const bad = { metadata: { encoding: undefined as unknown as Uint8Array } };
    await expect(codec.encode([plain, bad])).rejects.toMatchObject({ code: 'seal_failed' });
  });
});

describe('opening', () => {
  test('passes what was never sealed, and says so', async () => {
    const events: KeyholeEvent[] = [];
    const observed = new EncryptionCodec({
      keys: key,
      namespace: NAMESPACE,
      observer: (event) => events.push(event),
    });
    expect(await observed.decode([plain])).toEqual([plain]);
    expect(events).toEqual([{ type: 'passed', namespace: NAMESPACE }]);
  });

  test('refuses what was never sealed where passThrough is "refuse"', async () => {
    const strict = new EncryptionCodec({ keys: key, namespace: NAMESPACE, passThrough: 'refuse' });
    await expect(strict.decode([plain])).rejects.toMatchObject({ code: 'plaintext_refused' });
  });

  test('reports every payload that does not open, before and after its key is looked for', async () => {
    const events: KeyholeEvent[] = [];
    const strict = new EncryptionCodec({
      keys: key,
      namespace: NAMESPACE,
      passThrough: 'refuse',
      observer: (event) => events.push(event),
    });
    const payload = await sealed();
    const bad = [
      plain,
      changed(payload, 'encryption-format', Buffer.from('keyhole/v2')),
      changed(payload, 'encryption-key-id', Buffer.from('stranger')),
    ];
    for (const each of bad) await expect(strict.decode([each])).rejects.toThrow();
    expect(events.flatMap((event) => (event.type === 'failed' ? [event.code] : []))).toEqual([
      'plaintext_refused',
      'format_not_enabled',
      'key_not_configured',
    ]);
  });

  test('opens one layer, not two', async () => {
    const outer = new EncryptionCodec({ keys: new FakeWrappingKey('outer'), namespace: NAMESPACE });
    const inner = await sealed();
    const [opened] = await outer.decode(await outer.encode([inner]));
    expect(contentOf(opened)).toEqual(contentOf(inner));
  });

  test('refuses a payload of another namespace, alone or in a batch', async () => {
    const other = new EncryptionCodec({ keys: key, namespace: 'billing.a1b2c' });
    const theirs = await sealed(plain, other);
    await expect(codec.decode([theirs])).rejects.toMatchObject({ code: 'namespace_refused' });
    await expect(codec.decode([await sealed(), theirs])).rejects.toMatchObject({ code: 'namespace_refused' });
  });

  test('opens a payload of a namespace that alsoOpens names, and reports both', async () => {
    const events: KeyholeEvent[] = [];
    const both = new EncryptionCodec({
      keys: () => key,
      namespace: NAMESPACE,
      alsoOpens: ['billing.a1b2c'],
      observer: (event) => events.push(event),
    });
    const theirs = await sealed(plain, new EncryptionCodec({ keys: key, namespace: 'billing.a1b2c' }));
    expect((await both.decode([theirs])).map(contentOf)).toEqual([contentOf(plain)]);
    expect(events).toContainEqual({ type: 'opened_foreign', namespace: NAMESPACE, boundTo: 'billing.a1b2c' });
  });

  test('a payload cannot choose a key that is not configured', async () => {
    const stranger = await sealed(
      plain,
      new EncryptionCodec({ keys: new FakeWrappingKey('stranger'), namespace: NAMESPACE }),
    );
    await expect(codec.decode([stranger])).rejects.toMatchObject({ code: 'key_not_configured' });
    expect(key.calls).toEqual([]);
  });

  test('what is too short to be sealed costs no key-service call', async () => {
    const payload = await sealed();
    const fresh = new EncryptionCodec({ keys: key, namespace: NAMESPACE });
    const before = key.calls.length;
    await expect(fresh.decode([changed(payload, 'data', Buffer.alloc(27))])).rejects.toMatchObject({
      code: 'payload_invalid',
    });
    expect(key.calls).toHaveLength(before);
  });

  test('encryption-jwt opens only where it is enabled', async () => {
    const jwt = new EncryptionCodec({ keys: key, namespace: NAMESPACE, write: 'encryption-jwt' });
    const payload = await sealed(plain, jwt);
    expect((await jwt.decode([payload])).map(contentOf)).toEqual([contentOf(plain)]);
    await expect(codec.decode([payload])).rejects.toMatchObject({ code: 'format_not_enabled' });
  });

  test('an unbound payload stops opening once its key was seen serving a second namespace', async () => {
    const shared = new EncryptionCodec({ keys: () => key, write: 'encryption-jwt' });
    const [payload] = await shared.encode([plain], { namespace: NAMESPACE });
    await expect(shared.encode([plain], { namespace: 'billing.a1b2c' })).rejects.toMatchObject({
      code: 'format_not_enabled',
    });
    await expect(shared.decode([payload ?? {}], { namespace: NAMESPACE })).rejects.toMatchObject({
      code: 'format_not_enabled',
    });
  });
});

describe('a changed payload does not open:', () => {
  test('any one bit of its data', async () => {
    const payload = await sealed();
    const data = Buffer.from(payload.data ?? []);
    for (let bit = 0; bit < data.length * 8; bit++) {
      const flipped = Buffer.from(data);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expect(codec.decode([changed(payload, 'data', flipped)])).rejects.toMatchObject({
        code: 'not_opened',
      });
    }
  });

  test('any truncation or extension of its data', async () => {
    const payload = await sealed();
    const data = Buffer.from(payload.data ?? []);
    for (let length = 0; length < data.length; length++) {
      await expect(codec.decode([changed(payload, 'data', data.subarray(0, length))])).rejects.toThrow();
    }
    await expect(
      codec.decode([changed(payload, 'data', Buffer.concat([data, Buffer.of(0)]))]),
    ).rejects.toThrow();
  });

  test('any metadata value flipped, missing, or swapped with another payload’s', async () => {
    const payload = await sealed();
    codec.rotate();
    const other = await sealed();
    for (const part of Object.keys(payload.metadata ?? {}).filter((name) => name.startsWith('encryption-'))) {
      const value = Buffer.from(payload.metadata?.[part] ?? []);
      value[0] = (value[0] ?? 0) ^ 1;
      await expect(codec.decode([changed(payload, part, value)]), part).rejects.toThrow();
      const rest = { ...payload.metadata };
      Reflect.deleteProperty(rest, part);
      await expect(codec.decode([{ ...payload, metadata: rest }]), part).rejects.toThrow();
      const theirs = other.metadata?.[part] ?? new Uint8Array(0);
      if (Buffer.compare(theirs, payload.metadata?.[part] ?? new Uint8Array(0)) === 0) continue;
      await expect(codec.decode([changed(payload, part, theirs)]), part).rejects.toThrow();
    }
  });
});

test('options that cannot be right are a TypeError at construction', () => {
  const keyring = new Keyring([{ namespaces: ['*'], wrap: () => key, sharesKey: false }]);
  const attempts = [
    () => new EncryptionCodec({ keys: key, namespace: 'not a namespace' }),
    () => new EncryptionCodec({ keys: key, namespace: NAMESPACE, alsoOpens: ['*'] }),
    () => new EncryptionCodec({ keys: keyring, write: 'encryption-jwt' }),
    () => new EncryptionCodec({ keys: key, dataKeyMaxAgeMs: 25 * 3_600_000 }),
    () => new EncryptionCodec({ keys: key, openedKeyTtlMs: 0 }),
    () => new EncryptionCodec({ keys: key, write: 'encryption-jwt' }),
  ];
  for (const attempt of attempts) expect(attempt).toThrow(TypeError);
});
