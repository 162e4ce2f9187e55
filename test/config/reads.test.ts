// `reads` of a configuration: formats with their keys, until when, and what is refused.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openKeyring } from '../../src/config/open-wrapping-key.js';
import { EncryptionCodec } from '../../src/index.js';
import { codecOf, sampleSealed } from '../codec/foreign-payloads.js';
import { contentOf } from '../codec/payloads.js';
import { plantSecret } from '../streams.js';
import { GOOD, makeFolder, type Folder } from './folder.js';

const NAMESPACE = 'orders.a1b2c';
const secret = plantSecret(randomBytes(32));
const boxUri = plantSecret(`base64key://${randomBytes(32).toString('base64url')}=`);
const PUBLISHED = Buffer.from('test-key-test-key-test-key-test!').toString('base64');
const AWS = 'awskms:///arn:aws:kms:eu-west-1:111122223333:key/1234abcd?region=eu-west-1';

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
  await folder.write('static.yaml', `keys: [{ id: team, secret: "${secret.toString('base64')}" }]`);
  await folder.write('fernet.yaml', `keys: [{ id: f, secret: "${randomBytes(32).toString('base64url')}=" }]`);
  await folder.write('proxy.yaml', `keys: ["${AWS}", "${boxUri}"]`);
  await folder.write('published.yaml', `keys: [{ id: sample, secret: "${PUBLISHED}" }]`);
  await folder.write('foreign.yaml', 'keys: ["hashivault://orders"]');
  await folder.write('azure.yaml', 'keys: ["azurekeyvault://team.vault.azure.net/secrets/orders"]');
  await folder.write('readable.yaml', 'keys: []', 0o644);
  await folder.write('list.yaml', '[]');
});
afterAll(() => folder.remove());

const [wrapped] = GOOD.keys;
const configure = (...entries: object[]): Promise<string> =>
  folder.configure({ ...GOOD, keys: entries.map((entry) => ({ ...wrapped, ...entry })) });

describe('the formats of an entry', () => {
  test('come with their keys, and until when', async () => {
    await configure({
      reads: [
        'compression',
        { format: 'encryption-jwt', until: '2027-06-30' },
        { format: 'static-key', keys: 'static.yaml' },
        { format: 'fernet', keys: 'fernet.yaml' },
        { format: 'temporal-proxy', keys: 'proxy.yaml' },
      ],
      compress: { aboveBytes: 4096 },
    });
    const { keys } = await folder.config();
    expect(keys[0]).toMatchObject({
      reads: [
        { format: 'compression' },
        { format: 'encryption-jwt', until: '2027-06-30' },
        { format: 'static-key', keys: [{ id: 'team', secret }] },
        { format: 'fernet', keys: [{ id: 'f' }] },
        { format: 'temporal-proxy', uris: [AWS, boxUri] },
      ],
      compress: { aboveBytes: 4096 },
    });
  });

  test('open what they should', async () => {
    await configure({
      reads: [
        { format: 'static-key', keys: 'static.yaml' },
        { format: 'temporal-proxy', keys: 'proxy.yaml' },
      ],
    });
    const { keys } = await folder.config();
    const { keyring, close } = await openKeyring(keys);
    const codec = new EncryptionCodec({ keys: keyring, namespace: NAMESPACE });
    const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"text"') };
    const sample = codecOf((payload) => sampleSealed(payload, secret, 'team'), secret);
    expect((await codec.decode(await sample.encode([plain]))).map(contentOf)).toEqual([contentOf(plain)]);
    close();
  });

  test('may share keys where insecureSharedKeyReads says so, with a warning', async () => {
    const reads = [{ format: 'static-key', keys: 'static.yaml' }];
    await configure({ namespaces: ['*'], reads, insecureSharedKeyReads: true });
    const { keys, warnings } = await folder.config();
    expect(keys[0]).toMatchObject({ insecureSharedKeyReads: true });
    expect(warnings).toContain(
      'keys[0].insecureSharedKeyReads: payloads of one namespace may open in another',
    );
  });

  test('may have a last day, which is told once it has passed', async () => {
    const until = '2027-06-30';
    await configure({
      reads: [
        { ...STATIC, until },
        { format: 'compression', until },
      ],
    });
    const onLastDay = await folder.config({ nowMs: Date.parse('2027-06-30T23:59:59Z') });
    expect(onLastDay.warnings.join('\n')).not.toContain('until');
    const after = await folder.config({ nowMs: Date.parse('2027-07-01') });
    expect(after.warnings.filter((line) => line.includes('until'))).toEqual([
      'keys[0].reads[0].until: has passed: static-key opens no more',
      'keys[0].reads[1].until: has passed: compression opens no more',
    ]);
  });
});

const one = (read: unknown): object[] => [{ reads: [read] }];
const STATIC = { format: 'static-key', keys: 'static.yaml' };

describe('a mistake is told with its place:', () => {
  test.each<[string, object[], ...string[]]>([
    ['a number', one(7), 'keys[0].reads[0]: must be a format, or a mapping with format, keys, until'],
    ['a format without its keys', one('static-key'), 'keys[0].reads[0].keys: is required'],
    [
      'a day that is none',
      one({ format: 'compression', until: '30.06.2027' }),
      'keys[0].reads[0].until: must be a day, such as 2027-06-30',
    ],
    [
      'a format twice',
      [{ reads: ['compression', 'compression'] }],
      'keys[0].reads[1]: is there already as reads[0]',
    ],
    [
      'no such file',
      one({ ...STATIC, keys: 'none.yaml' }),
      'keys[0].reads[0].keys: there is no such file in FOLDER',
    ],
    [
      'another kind of file',
      one({ ...STATIC, keys: 'list.yaml' }),
      'keys[0].reads[0].keys: in the key file FOLDER/list.yaml: a file of fixed keys has one entry, "keys": a list of { id, secret }',
    ],
    [
      'a published key',
      one({ ...STATIC, keys: 'published.yaml' }),
      'keys[0].reads[0].keys: in the key file FOLDER/published.yaml: keys[0].secret: is published, anybody can open what it sealed',
    ],
    [
      'a URI of an unknown scheme',
      one({ format: 'temporal-proxy', keys: 'foreign.yaml' }),
      'keys[0].reads[0].keys: in the key file FOLDER/foreign.yaml: keys[0]: is a key URI of a scheme that is not known here',
    ],
    [
      'what is no key in Azure Key Vault',
      one({ format: 'temporal-proxy', keys: 'azure.yaml' }),
      'keys[0].reads[0].keys: in the key file FOLDER/azure.yaml: keys[0]: an Azure key is named https://VAULT/keys/NAME, with or without /VERSION',
    ],
    [
      'keys under a pattern',
      [{ namespaces: ['*'], reads: [STATIC] }],
      'keys[0].reads[0]: serves several namespaces, so static-key, which binds none, cannot be used with it',
    ],
    [
      'keys in two entries',
      [{ reads: [STATIC] }, { namespaces: ['billing'], reads: [STATIC] }],
      'keys[0].reads[0]: is the key of keys[1].reads[0] too, so static-key, which binds no namespace, cannot be used with it',
      'keys[1].reads[0]: is the key of keys[0].reads[0] too, so static-key, which binds no namespace, cannot be used with it',
    ],
    [
      'compression of what Python opens',
      [{ write: 'encryption-jwt', compress: { aboveBytes: 1 } }],
      'keys[0].compress: only keyhole/v1 is compressed before it is sealed',
    ],
    [
      'compression of everything',
      [{ compress: { aboveBytes: 0 } }],
      'keys[0].compress.aboveBytes: must be a whole number from 1 to 16777216',
    ],
  ])('%s', async (_, entries, ...lines) => {
    await configure(...entries);
    expect(await folder.problems()).toEqual(lines.map((line) => line.replace('FOLDER', folder.path)));
  });

  test('a file that others can read', async () => {
    await configure({ reads: [{ ...STATIC, keys: 'readable.yaml' }] });
    expect(await folder.problems()).toEqual([expect.stringMatching(/^keys\[0\]\.reads\[0\]\.keys: /)]);
  });
});
