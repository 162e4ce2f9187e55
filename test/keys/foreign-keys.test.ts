// The keys that foreign formats bring along: which are taken, and how the URIs of temporal-proxy are read.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseFixedKeys, parseProxyKeyUri, secretBoxKey } from '../../src/index.js';
import { FixedKeys } from '../../src/keys/fixed-keys.js';
import { plantSecret } from '../streams.js';

const secret = randomBytes(32);
const PUBLISHED = {
  'the key of Temporal’s samples': Buffer.from('test-key-test-key-test-key-test!'),
  'the key of Fernet’s specification': Buffer.from(
    'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=',
    'base64url',
  ),
};

describe('fixed keys', () => {
  test.each(Object.entries(PUBLISHED))('are refused where one is %s', (_, published) => {
    const keys = [{ id: 'a', secret: published }];
    expect(() => new FixedKeys(keys)).toThrow('keys[0].secret: is published');
    expect(new FixedKeys(keys, { insecurePublishedKeys: true }).all()).toHaveLength(1);
  });

  test.each([
    ['none', []],
    ['more than 100', Array.from({ length: 101 }, (_, index) => ({ id: String(index), secret }))],
    [
      'an id twice',
      [
        { id: 'a', secret },
        { id: 'a', secret: randomBytes(32) },
      ],
    ],
    ['an id that no payload can record', [{ id: 'ä', secret }]],
    ['a secret of 31 bytes', [{ id: 'a', secret: secret.subarray(1) }]],
  ])('are refused where there is %s', (_, keys) => {
    expect(() => new FixedKeys(keys)).toThrow(TypeError);
  });

  test('have the name of their id, or a digest where that is the key itself', () => {
    const printable = randomBytes(24).toString('base64');
    const keys = new FixedKeys([
      { id: 'team', secret },
      { id: printable, secret: Buffer.from(printable) },
      { id: secret.toString('base64'), secret },
    ]);
    const [first, ...others] = keys.all().map(({ name }) => name);
    expect(first).toBe('team');
    for (const name of others) expect(name).toMatch(/^fixed:[0-9a-f]{16}$/);
  });

  test.each(['base64', 'base64url'] as const)('are read from a file in %s, a Fernet key as it is', (form) => {
    for (const text of [secret.toString(form), `${secret.toString('base64url')}=`]) {
      expect(parseFixedKeys({ keys: [{ id: 'a', secret: text }] })).toEqual([{ id: 'a', secret }]);
    }
  });

  test.each([
    ['no list', { keys: {} }],
    ['further entries', { keys: [], more: 1 }],
    ['a key with more than id and secret', { keys: [{ id: 'a', secret: 'x', name: 'y' }] }],
    ['a secret that is not base64', { keys: [{ id: 'a', secret: '!'.repeat(44) }] }],
    ['a secret of another length', { keys: [{ id: 'a', secret: 'AAAA' }] }],
    ['an id that is not text', { keys: [{ id: 1, secret: secret.toString('base64') }] }],
  ])('are not read from a file with %s', (_, content) => {
    expect(() => parseFixedKeys(content)).toThrow(TypeError);
  });
});

describe('a key URI of temporal-proxy', () => {
  const arn = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

  test.each([
    [`awskms:///${arn}?region=eu-west-1`, { scheme: 'awskms', key: arn, region: 'eu-west-1', context: {} }],
    ['awskms://alias/orders', { scheme: 'awskms', key: 'alias/orders', context: {} }],
    [
      'awskms:///alias/orders?context_tenant=a%20b&context_env=prod',
      { scheme: 'awskms', key: 'alias/orders', context: { tenant: 'a b', env: 'prod' } },
    ],
    [
      'gcpkms://projects/P/locations/global/keyRings/R/cryptoKeys/K',
      { scheme: 'gcpkms', key: 'projects/P/locations/global/keyRings/R/cryptoKeys/K' },
    ],
    [
      'azurekeyvault://team.vault.azure.net/keys/orders/0123?algorithm=RSA-OAEP-256',
      { scheme: 'azurekeyvault', key: 'https://team.vault.azure.net/keys/orders/0123' },
    ],
    [`base64key://${secret.toString('base64url')}=`, { scheme: 'base64key', secret }],
  ])('is read: %s', (uri, parsed) => {
    expect(parseProxyKeyUri(uri)).toEqual(parsed);
  });

  test.each([
    'awskms:///alias/orders?endpoint=http://other.example',
    'awskms:///alias/orders?context_a=1&context_a=2',
    'gcpkms://projects/P?additional_authenticated_data=AAAA',
    'azurekeyvault://team.vault.azure.net/keys/orders?algorithm=RSA1_5',
    'hashivault://orders',
    'orders',
    'base64key://',
    'base64key://AAAA',
    `base64key://${secret.toString('base64url')}`,
  ])('is refused: %s', (uri) => {
    expect(() => parseProxyKeyUri(uri)).toThrow(TypeError);
  });

  test('that is a key is not repeated in an error', () => {
    const text = plantSecret(`${secret.toString('base64url')}x=`);
    expect(() => parseProxyKeyUri(`base64key://${text}`)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(text) as unknown }),
    );
  });
});

describe('the local key of temporal-proxy', () => {
  const key = secretBoxKey(`base64key://${secret.toString('base64url')}=`);
  const context = { namespace: null, signal: new AbortController().signal };

  test('has a digest for its name', () => {
    expect(key.name).toMatch(/^base64key:[0-9a-f]{16}$/);
  });

  test('wraps nothing', async () => {
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_denied' });
  });

  test.each([0, 71, 72, 73])('refuses %i bytes that it did not wrap', async (bytes) => {
    await expect(key.unwrap(randomBytes(bytes), null, context)).rejects.toMatchObject({
      code: 'key_wrong_context',
    });
  });

  test('cannot be the one of gocloud.dev’s documentation', () => {
    expect(() => secretBoxKey('base64key://smGbjm71Nxd1Ig5FS0wj9SlbzAIrnolCz9bQQ6uAhl4=')).toThrow(
      'is published',
    );
  });
});
