// The rules that hold for all foreign formats: which a payload is of, until when it opens, under whose key, how deep.
import { randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { readMark } from '../../../src/codec/marks.js';
import { PayloadCipher } from '../../../src/codec/payload-cipher.js';
import {
  EncryptionCodec,
  Keyring,
  secretBoxKey,
  type FixedKeyRead,
  type ForeignRead,
  type KeyringEntry,
} from '../../../src/index.js';
import { DataKeys } from '../../../src/keys/data-keys.js';
import { KeyCalls } from '../../../src/keys/key-calls.js';
import { FakeWrappingKey } from '../../../src/testing.js';
import { encrypted, sampleSealed } from '../foreign-payloads.js';
import { contentOf } from '../payloads.js';

const [ORDERS, BILLING] = ['orders.a1b2c', 'billing.a1b2c'];
const secret = randomBytes(32);
const plain: Payload = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"text"') };
const staticKeys: FixedKeyRead = { format: 'static-key', keys: [{ id: 'team', secret }] };

const sampled = (payload: Payload): Payload => sampleSealed(payload, secret, 'team');
const marked = (metadata: Record<string, string>, data: Uint8Array = randomBytes(64)): Payload =>
  encrypted(metadata, data);

function codecFor(options: Partial<KeyringEntry>, namespace = ORDERS): EncryptionCodec {
  const key = new FakeWrappingKey();
  const entry = { namespaces: [namespace], wrap: () => key, sharesKey: true, ...options };
  return new EncryptionCodec({ keys: new Keyring([entry]), namespace });
}

describe('the format of a payload', () => {
  const marks: Record<string, Record<string, string>> = {
    'keyhole/v1': {
      'encryption-format': 'keyhole/v1',
      'encryption-namespace': ORDERS,
      'encryption-key-id': 'k',
      'encryption-data-key': 'wrapped',
      'encryption-commitment': 'c'.repeat(32),
    },
    'temporal-proxy': { 'encryption-dek': 'AAAA', 'encryption-key-id': 'awskms:///arn' },
    'encryption-jwt': { data_key_encrypted: 'AAAA' },
    'static-key': { 'encryption-key-id': 'team', 'encryption-cipher': 'AES/GCM/NoPadding' },
  };

  test.each(Object.entries(marks))('%s is told by its metadata', (format, metadata) => {
    expect(readMark(marked(metadata))).toMatchObject({ kind: 'sealed', format });
  });

  test('fernet is told by the absence of every key, and by how a token begins', () => {
    expect(readMark(marked({}, Buffer.from('gAAAAAB')))).toMatchObject({ format: 'fernet' });
    for (const [metadata, data] of [
      [{}, 'hAAAAAB'],
      [{ other: 'x' }, 'gAAAAAB'],
    ] as const) {
      expect(() => readMark(marked(metadata, Buffer.from(data)))).toThrow(
        expect.objectContaining({ code: 'format_not_enabled' }),
      );
    }
  });

  const own = { 'encryption-key-id': ['temporal-proxy', 'static-key', 'keyhole/v1'] } as Record<
    string,
    string[]
  >;
  const doubles = Object.entries(marks).flatMap(([format, metadata]) =>
    Object.entries(marks)
      .filter(([other]) => other !== format)
      .flatMap(([, others]) => Object.entries(others))
      .filter(([key]) => metadata[key] === undefined && !(own[key] ?? []).includes(format))
      .filter(([key]) => key !== 'encryption-format')
      .map(([key, value]) => ({ format, key, value, metadata })),
  );

  test.each(doubles)('$format with $key beside it is refused', ({ key, value, metadata }) => {
    expect(() => readMark(marked({ ...metadata, [key]: value }))).toThrow(
      expect.objectContaining({ code: 'payload_invalid' }),
    );
  });

  test.each(['keyhole/v2', 'keyhole/v1 ', 'KEYHOLE/V1', ''])(
    'an encryption-format of “%s” is unknown, whatever else is there',
    (version) => {
      for (const metadata of Object.values(marks)) {
        expect(() => readMark(marked({ ...metadata, 'encryption-format': version }))).toThrow(
          expect.objectContaining({ code: 'format_not_enabled' }),
        );
      }
    },
  );

  test.each([
    [
      'a cipher of another name',
      { 'encryption-key-id': 'team', 'encryption-cipher': 'AES/CBC/PKCS5Padding' },
    ],
    ['a key id that is no text', { 'encryption-key-id': 'tea\nm' }],
    ['a key id that is empty', { 'encryption-key-id': '' }],
    ['a wrapped key that is not base64', { 'encryption-dek': 'A', 'encryption-key-id': 'awskms:///arn' }],
    ['a wrapped key without a URI', { 'encryption-dek': 'AAAA' }],
  ])('with %s is invalid', (_, metadata) => {
    expect(() => readMark(marked(metadata))).toThrow(expect.objectContaining({ code: 'payload_invalid' }));
  });
});

describe('a format that is read until a day', () => {
  const until = { ...staticKeys, until: '2027-06-30' } as const;
  const keyring = new Keyring([
    { namespaces: [ORDERS], wrap: () => new FakeWrappingKey(), sharesKey: true, reads: [until] },
  ]);
  const openAt = (moment: string): Promise<Payload> => {
    const dataKeys = new DataKeys({ keyring, calls: new KeyCalls() });
    const cipher = new PayloadCipher({ keyring, dataKeys, now: () => Date.parse(moment) });
    const payload = sampled(plain);
    const mark = readMark(payload);
    if (mark.kind !== 'sealed') throw new Error('not sealed');
    return new Promise((resolve) => {
      resolve(cipher.open(payload, mark, ORDERS));
    });
  };

  test('opens on that day', async () => {
    expect(contentOf(await openAt('2027-06-30T23:59:59.999Z'))).toEqual(contentOf(plain));
  });

  test('is refused after it, with its date', async () => {
    await expect(openAt('2027-07-01T00:00:00Z')).rejects.toMatchObject({
      code: 'format_not_enabled',
      message: `static-key was until 2027-06-30, and is no longer, enabled in namespace ${ORDERS}`,
    });
  });

  test.each(['2027-02-30', '30.6.2027', '2027-6-30', ''])('cannot be read until “%s”', (day) => {
    expect(() => codecFor({ reads: [{ format: 'compression', until: day }] })).toThrow(TypeError);
  });
});

describe('a key that seals without binding a namespace', () => {
  test.each([
    ['for two names', { namespaces: [ORDERS, BILLING] }],
    ['for a pattern', { namespaces: ['*'] }],
  ])('cannot be configured %s', (_, options) => {
    expect(() => codecFor({ ...options, reads: [staticKeys] })).toThrow(/cannot read or write a format/);
  });

  const uri = `base64key://${secret.toString('base64url')}=`;
  const proxied: ForeignRead = { format: 'temporal-proxy', keys: { [uri]: secretBoxKey(uri) } };

  test.each<[string, ForeignRead]>([
    ['static-key', staticKeys],
    ['fernet', { ...staticKeys, format: 'fernet' }],
    ['temporal-proxy', proxied],
  ])('cannot stand in two entries: %s', (_, read) => {
    const entry = (namespace: string): KeyringEntry => ({
      namespaces: [namespace],
      wrap: () => new FakeWrappingKey(),
      sharesKey: false,
      reads: [read],
    });
    expect(() => new Keyring([entry(ORDERS), entry(BILLING)])).toThrow(/cannot read or write a format/);
    expect(() => new Keyring([entry(ORDERS)])).not.toThrow();
  });

  test('may, where insecureSharedKeyReads says so; then what was sealed for one opens in the other', async () => {
    const options = { namespaces: ['*'], reads: [staticKeys], insecureSharedKeyReads: true };
    for (const namespace of [ORDERS, BILLING]) {
      const [opened] = await codecFor(options, namespace).decode([sampled(plain)]);
      expect(contentOf(opened)).toEqual(contentOf(plain));
    }
  });

  test('seen at run time for a second namespace opens nothing more in either', async () => {
    const key = new FakeWrappingKey();
    const wrap = () => key;
    const shared = new Keyring([{ namespaces: ['*'], wrap, sharesKey: false, write: 'encryption-jwt' }]);
    const codec = new EncryptionCodec({ keys: shared });
    const [sealed] = await codec.encode([plain], { namespace: ORDERS });
    await expect(codec.encode([plain], { namespace: BILLING })).rejects.toMatchObject({
      code: 'format_not_enabled',
    });
    for (const namespace of [ORDERS, BILLING]) {
      await expect(codec.decode([sealed ?? {}], { namespace })).rejects.toThrow();
    }
  });

  test('opens only in its own namespace, not in those that alsoOpens names', async () => {
    const codec = new EncryptionCodec({
      keys: new FakeWrappingKey(),
      namespace: ORDERS,
      alsoOpens: [BILLING, BILLING],
      reads: [staticKeys],
    });
    expect(contentOf((await codec.decode([sampled(plain)]))[0])).toEqual(contentOf(plain));
    await expect(codec.decode([sampled(plain)], { namespace: BILLING })).rejects.toMatchObject({
      code: 'format_not_enabled',
    });
  });
});

describe('one layer is opened, not more:', () => {
  test('a foreign payload inside of ours comes out as it is', async () => {
    const codec = codecFor({ reads: [staticKeys] });
    const inner = sampled(plain);
    const [opened] = await codec.decode(await codec.encode([inner]));
    expect(contentOf(opened)).toEqual(contentOf(inner));
  });

  test('ours inside of a foreign one comes out as it is', async () => {
    const codec = codecFor({ reads: [staticKeys] });
    const [inner] = await codec.encode([plain]);
    const [opened] = await codec.decode([sampled(inner ?? {})]);
    expect(contentOf(opened)).toEqual(contentOf(inner));
  });
});

test('a payload that binds no namespace does not open with a key that only it names', async () => {
  const uri = `base64key://${randomBytes(32).toString('base64url')}=`;
  const key = secretBoxKey(uri);
  const codec = codecFor({ reads: [{ format: 'temporal-proxy', keys: { [uri]: key } }] });
  const other = `base64key://${secret.toString('base64url')}=`;
  const payload = marked({ 'encryption-dek': 'A'.repeat(96), 'encryption-key-id': other });
  const opening = codec.decode([payload]);
  await expect(opening).rejects.toMatchObject({ code: 'key_not_configured' });
  await expect(opening).rejects.not.toThrow(secret.toString('base64url'));
});

test('passThrough "refuse" refuses what is only compressed as well', async () => {
  const codec = codecFor({ reads: ['compression'], passThrough: 'refuse' });
  const compressed = { metadata: { encoding: Buffer.from('binary/snappy') }, data: Buffer.from([0]) };
  await expect(codec.decode([compressed])).rejects.toMatchObject({ code: 'plaintext_refused' });
});

test('a storage reference is returned untouched, whatever is read', async () => {
  const codec = codecFor({ reads: [staticKeys, 'compression'], passThrough: 'refuse' });
  const metadata = {
    encoding: Buffer.from('json/protobuf'),
    messageType: Buffer.from('temporal.api.sdk.v1.ExternalStorageReference'),
  };
  const reference = { metadata, data: Buffer.from('{}') };
  expect((await codec.decode([reference]))[0]).toBe(reference);
});
