// Other wrapping keys, while payloads are sealed and opened.
import { expect, test } from 'vitest';
import { EncryptionCodec, Keyring } from '../../src/index.js';
import { FakeWrappingKey } from '../../src/testing.js';
import { rotateUnderLoad } from './rotating.js';

const namespace = 'orders.a1b2c';
const PLAIN = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"an order"') };

test('fifty rotations under load leave no payload that does not open (`npx tsx bench/rotations.ts` for 1,000)', async () => {
  const { sealed, notOpened, keys } = await rotateUnderLoad(50);
  expect([notOpened, keys]).toEqual([0, 51]);
  expect(sealed).toBeGreaterThan(50);
});

test('after reload() the new key seals, and the old one opens only where it may still unwrap', async () => {
  const [old, young] = [new FakeWrappingKey('old'), new FakeWrappingKey('young')];
  const codec = new EncryptionCodec({ namespace, keys: old });
  const before = await codec.encode([PLAIN]);
  const entry = { namespaces: [namespace], wrap: () => young, sharesKey: true };
  codec.reload({ keys: new Keyring([{ ...entry, unwrap: [() => old] }]) });
  const [after] = await codec.encode([PLAIN]);
  expect(Buffer.from(after?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('young');
  await codec.decode(before);
  codec.reload({ keys: young });
  await expect(codec.decode(before)).rejects.toMatchObject({ code: 'key_not_configured' });
});

test('what was being sealed when reload() was called is sealed under the key before', async () => {
  const old = new FakeWrappingKey('old');
  let open: () => void = () => undefined;
  old.gate = new Promise((resolve) => (open = resolve));
  const codec = new EncryptionCodec({ namespace, keys: old });
  const sealing = codec.encode([PLAIN]);
  codec.reload({ keys: new FakeWrappingKey('young') });
  open();
  const [payload] = await sealing;
  expect(Buffer.from(payload?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('old');
});

test('keys that cannot be right change nothing', async () => {
  const codec = new EncryptionCodec({ keys: new FakeWrappingKey('old') });
  expect(() => {
    codec.reload({ keys: new FakeWrappingKey('young'), write: 'encryption-jwt' });
  }).toThrow(TypeError);
  const [payload] = await codec.encode([PLAIN], { namespace });
  expect(Buffer.from(payload?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('old');
});

test('a key that was seen to serve two namespaces stays shared after reload(): payloads of both are under it', async () => {
  const key = new FakeWrappingKey();
  const entry = { wrap: () => key, write: 'encryption-jwt', sharesKey: false } as const;
  const orders = { ...entry, namespaces: [namespace] };
  const billing = { ...entry, namespaces: ['billing.a1b2c'], wrap: () => key };
  const codec = new EncryptionCodec({ keys: new Keyring([orders, billing]) });
  const sealed = await codec.encode([PLAIN], { namespace });
  await expect(codec.encode([PLAIN], { namespace: 'billing.a1b2c' })).rejects.toThrow();
  codec.reload({ keys: new Keyring([orders]) });
  const refused = { code: 'format_not_enabled' };
  await expect(codec.decode(sealed, { namespace })).rejects.toMatchObject(refused);
  codec.reload({ keys: new Keyring([{ ...orders, insecureSharedKeyReads: true }]) });
  expect(await codec.decode(sealed, { namespace })).toHaveLength(1);
});

test('what keys were seen to serve before they took another keyring’s place counts as well', () => {
  const entry = { namespaces: ['*'], wrap: () => new FakeWrappingKey(), sharesKey: true };
  const [first, second] = [new Keyring([entry]), new Keyring([entry])];
  first.noteUse('one', 'a');
  second.noteUse('one', 'b');
  second.noteUse('two', 'c');
  second.succeeds(first);
  first.noteUse('two', 'd');
  for (const [identity, served] of [
    ['one', 'b'],
    ['two', 'c'],
  ] as const)
    expect(() => {
      second.assertServesOnly(identity, served);
    }).toThrow(/serves another namespace/);
});
