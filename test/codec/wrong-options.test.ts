// What is said to whoever gives the library's constructors something that they do not take.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  awsKms,
  azureKeyVault,
  EncryptionCodec,
  gcpKms,
  KeyholePlugin,
  Keyring,
  LocalWrappingKey,
  newLocalKeyFile,
  secretBoxKey,
  vaultTransit,
} from '../../src/index.js';
import { FakeWrappingKey, wrappingKeyContract } from '../../src/testing.js';
import { plantSecret } from '../streams.js';

const key = new FakeWrappingKey();
const keys = (): FakeWrappingKey => key;
const codec = new EncryptionCodec({ keys });
const secret = randomBytes(32);
const token = plantSecret('a token in place of the function that answers it');
const call = (): Promise<never> => Promise.reject(new Error('unused'));
const aws = { generateDataKey: call, decrypt: call };
const gcp = { initialize: call, encrypt: call, decrypt: call };
const entry = { namespaces: ['orders'], wrap: keys, sharesKey: false };
const azure = {
  key: 'https://v.vault.azure.net/keys/k',
  keyClient: { getKey: call },
  cryptographyClient: call,
};
const vault = { address: 'https://vault.example.com', token: () => 'a-token', key: 'orders' };
const contract = { test: call, open: call };
const keyFile = { keys: [{ id: 'team', secret: secret.toString('base64') }] };

const FORMATS = '"temporal-proxy", "encryption-jwt", "static-key", "fernet" or "compression"';
const KEYS = 'a wrapping key, a function from a namespace to one, or a Keyring';
const CODEC = 'keys, write, reads, compress, passThrough';

/** Stands for a client of an SDK that was given in place of the options. */
class SomeClient {
  readonly config = {};
}

const make = {
  KeyholePlugin: (given: unknown) => new KeyholePlugin(given as never),
  EncryptionCodec: (given: unknown) => new EncryptionCodec(given as never),
  reload: (given: unknown) => {
    codec.reload(given as never);
  },
  Keyring: (given: unknown) => new Keyring(given as never),
  LocalWrappingKey: (given: unknown) => new LocalWrappingKey(given as never),
  newLocalKeyFile: (given: unknown) => newLocalKeyFile(given as never),
  secretBoxKey: (given: unknown) => secretBoxKey(given as never),
  awsKms: (given: unknown) => awsKms(given as never),
  gcpKms: (given: unknown) => gcpKms(given as never),
  azureKeyVault: (given: unknown) => azureKeyVault(given as never),
  vaultTransit: (given: unknown) => vaultTransit(given as never),
  wrappingKeyContract: (given: unknown) => {
    wrappingKeyContract(given as never);
  },
};

const WRONG: readonly (readonly [keyof typeof make, unknown, string])[] = [
  ['KeyholePlugin', undefined, 'KeyholePlugin: takes one object of options, { codec }'],
  ['KeyholePlugin', codec, 'KeyholePlugin: takes one object of options, { codec }'],
  ['KeyholePlugin', [codec], 'KeyholePlugin: takes one object of options, { codec }'],
  ['KeyholePlugin', {}, 'KeyholePlugin: codec must be an EncryptionCodec'],
  ['KeyholePlugin', { codec: { encode: call } }, 'KeyholePlugin: codec must be an EncryptionCodec'],
  [
    'KeyholePlugin',
    { codec, namespace: 'a' },
    'KeyholePlugin: knows no namespace, only codec, replayNamespace',
  ],
  [
    'KeyholePlugin',
    { codec, replayNamespace: '' },
    'KeyholePlugin: replayNamespace must be the name of a namespace',
  ],

  ['EncryptionCodec', undefined, 'EncryptionCodec: takes one object of options, { keys }'],
  ['EncryptionCodec', key, 'EncryptionCodec: takes one object of options, { keys }'],
  ['EncryptionCodec', {}, `EncryptionCodec: keys must be ${KEYS}`],
  ['EncryptionCodec', { keys: {} }, `EncryptionCodec: keys must be ${KEYS}`],
  ['EncryptionCodec', { keys: { orders: key } }, `EncryptionCodec: keys must be ${KEYS}`],
  [
    'EncryptionCodec',
    { keys, passthrough: 'refuse' },
    `EncryptionCodec: knows no passthrough, only ${CODEC}, namespace, alsoOpens, dataKeyMaxAgeMs, openedKeyTtlMs, observer`,
  ],
  [
    'EncryptionCodec',
    { keys, passThrough: 'deny' },
    'EncryptionCodec: passThrough must be "allow" or "refuse"',
  ],
  [
    'EncryptionCodec',
    { keys, write: 'encryption_jwt' },
    'EncryptionCodec: write must be "keyhole/v1" or "encryption-jwt"',
  ],
  [
    'EncryptionCodec',
    { keys, reads: 'compression' },
    'EncryptionCodec: reads must be a list of foreign formats',
  ],
  ['EncryptionCodec', { keys, reads: ['nope'] }, `reads[0]: format must be ${FORMATS}`],
  ['EncryptionCodec', { keys, reads: ['compression', null] }, `reads[1]: format must be ${FORMATS}`],
  [
    'EncryptionCodec',
    { keys, reads: ['static-key'] },
    'static-key in reads[0]: takes one object of options, { format, keys }',
  ],
  [
    'EncryptionCodec',
    { keys, reads: [{ format: 'static-key', keys: keyFile }] },
    'static-key in reads[0]: keys must be a list of { id, secret }, as parseFixedKeys answers it',
  ],
  [
    'EncryptionCodec',
    { keys, namespace: 'orders', reads: [{ format: 'fernet', keys: keyFile.keys }] },
    'keys[0].secret: must be 32 bytes',
  ],
  [
    'EncryptionCodec',
    { keys, namespace: 'orders', reads: [{ format: 'static-key', keys: [{ secret }] }] },
    'keys[0].id: 1 to 512 characters of printable ASCII',
  ],
  [
    'EncryptionCodec',
    { keys, reads: [{ format: 'temporal-proxy', keys: { 'awskms:///alias/orders': keys } }] },
    'temporal-proxy in reads[0]: keys must be an object of wrapping keys, each under its URI',
  ],
  [
    'EncryptionCodec',
    { keys, reads: [{ format: 'compression', until: '30.6.2027' }] },
    'compression in reads[0]: until must be a day such as "2027-06-30"',
  ],
  [
    'EncryptionCodec',
    { keys, reads: [{ format: 'encryption-jwt', til: '2027-06-30' }] },
    'encryption-jwt in reads[0]: knows no til, only format, until',
  ],
  ['EncryptionCodec', { keys, compress: 1024 }, 'EncryptionCodec: compress must be an object { aboveBytes }'],
  ['EncryptionCodec', { keys, compress: { above: 1 } }, 'compress: knows no above, only aboveBytes'],
  [
    'EncryptionCodec',
    { keys, compress: { aboveBytes: 0 } },
    'compress: aboveBytes must be a whole number above 0',
  ],
  ['EncryptionCodec', { keys, namespace: 7 }, 'EncryptionCodec: namespace must be the name of a namespace'],
  [
    'EncryptionCodec',
    { keys, namespace: null },
    'EncryptionCodec: namespace must be the name of a namespace',
  ],
  [
    'EncryptionCodec',
    { keys, alsoOpens: 'billing' },
    'EncryptionCodec: alsoOpens must be a list of names of namespaces, none of them a pattern',
  ],
  [
    'EncryptionCodec',
    { keys, dataKeyMaxAgeMs: '900000' },
    'EncryptionCodec: dataKeyMaxAgeMs must be a number of milliseconds above 0, at most 86400000',
  ],
  [
    'EncryptionCodec',
    { keys, openedKeyTtlMs: 0 },
    'EncryptionCodec: openedKeyTtlMs must be a number of milliseconds above 0, at most 86400000',
  ],
  [
    'EncryptionCodec',
    { keys, observer: console },
    'EncryptionCodec: observer must be a function that takes an event',
  ],
  ['reload', key, 'EncryptionCodec.reload: takes one object of options, { keys }'],
  ['reload', { keys, namespace: 'orders' }, `EncryptionCodec.reload: knows no namespace, only ${CODEC}`],

  ['Keyring', entry, 'Keyring: takes a list of entries'],
  [
    'Keyring',
    [entry, keys],
    'entry 1 of the Keyring: takes one object of options, { namespaces, wrap, sharesKey }',
  ],
  [
    'Keyring',
    [{ ...entry, namespaces: 'orders' }],
    'entry 0 of the Keyring: namespaces must be a list of namespaces, or patterns with one *',
  ],
  [
    'Keyring',
    [{ ...entry, wrap: key }],
    'entry 0 of the Keyring: wrap must be a function from a namespace to its wrapping key',
  ],
  [
    'Keyring',
    [{ ...entry, unwrap: [key] }],
    'entry 0 of the Keyring: unwrap must be a list of functions from a namespace to its wrapping key',
  ],
  [
    'Keyring',
    [{ ...entry, sharesKey: undefined }],
    'entry 0 of the Keyring: sharesKey must be true or false',
  ],
  [
    'Keyring',
    [{ ...entry, passThrough: 'Refuse' }],
    'entry 0 of the Keyring: passThrough must be "allow" or "refuse"',
  ],
  [
    'Keyring',
    [{ ...entry, key }],
    `entry 0 of the Keyring: knows no key, only namespaces, wrap, unwrap, write, reads, compress, passThrough, sharesKey, insecureSharedKeyReads`,
  ],

  [
    'LocalWrappingKey',
    keyFile,
    'LocalWrappingKey: takes a list of { id, secret }, as parseLocalKeys answers it',
  ],
  ['LocalWrappingKey', keyFile.keys, 'the secret of local key team is not 32 bytes long'],
  [
    'LocalWrappingKey',
    [{ id: 'team', secret: 's'.repeat(32) }],
    'the secret of local key team is not 32 bytes long',
  ],
  ['LocalWrappingKey', [{ secret }], 'a local key id is 1 to 64 characters of A-Z a-z 0-9 . _ -'],
  ['newLocalKeyFile', undefined, 'a local key id is 1 to 64 characters of A-Z a-z 0-9 . _ -'],
  ['secretBoxKey', secret, 'is not a key URI of temporal-proxy'],

  ['awsKms', new SomeClient(), 'awsKms: takes one object of options, { client }'],
  [
    'awsKms',
    { client: new SomeClient() },
    'awsKms: client must be a KMS of @aws-sdk/client-kms, with generateDataKey, decrypt',
  ],
  ['awsKms', { client: aws, key: '' }, 'awsKms: key must be an ARN, a key id or an alias'],
  ['awsKms', { client: aws, foreignContext: { a: 1 } }, 'awsKms: foreignContext must be an object of texts'],
  ['awsKms', { client: aws, keyId: 'k' }, 'awsKms: knows no keyId, only client, key, foreignContext'],
  [
    'gcpKms',
    { client: new SomeClient(), key: 'k' },
    'gcpKms: client must be a KeyManagementServiceClient of @google-cloud/kms, with initialize, encrypt, decrypt',
  ],
  ['gcpKms', { client: gcp }, 'gcpKms: key must be the resource name of a key'],
  [
    'gcpKms',
    { client: gcp, key: 'k', timeoutMs: -1 },
    'gcpKms: timeoutMs must be a number of milliseconds above 0',
  ],
  ['azureKeyVault', { ...azure, key: undefined }, 'azureKeyVault: key must be the address of a key'],
  [
    'azureKeyVault',
    { ...azure, keyClient: {} },
    'azureKeyVault: keyClient must be a KeyClient of @azure/keyvault-keys, with getKey',
  ],
  [
    'azureKeyVault',
    { ...azure, cryptographyClient: {} },
    'azureKeyVault: cryptographyClient must be a function from a version of the key to a CryptographyClient',
  ],
  ['vaultTransit', { ...vault, token }, 'vaultTransit: token must be a function that answers the token'],
  [
    'vaultTransit',
    { ...vault, fetch: {} },
    'vaultTransit: fetch must be a function such as the platform’s fetch',
  ],
  [
    'vaultTransit',
    { address: vault.address },
    'vaultTransit: token must be a function that answers the token',
  ],
  [
    'wrappingKeyContract',
    { ...contract, without: ['lost'] },
    'wrappingKeyContract: without must be a list of misfortunes',
  ],
];

test.each(WRONG)('%s: row %# is a TypeError at construction, with its sentence', (name, given, sentence) => {
  expect(() => make[name](given)).toThrow(new TypeError(sentence));
});

test('options may be an instance of a class, and what is there but undefined counts as left out', () => {
  class Options {
    readonly keys = keys;
    readonly passThrough = undefined;
  }
  expect(() => make.EncryptionCodec(new Options())).not.toThrow();
});

test('a function that makes no wrapping key fails the payload, and says what it must answer', async () => {
  const pending = new EncryptionCodec({ keys: (() => Promise.resolve(key)) as never, namespace: 'orders' });
  await expect(pending.encode([{}])).rejects.toMatchObject({
    code: 'key_not_configured',
    message:
      'what makes the wrapping key of namespace orders must answer one: holds, generateDataKey and unwrap',
  });
});
