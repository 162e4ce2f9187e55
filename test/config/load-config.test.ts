// From file and environment to a configuration: its defaults, what wins, and every mistake with its place.
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '../../src/dev/certificates.js';
import { newLocalKeyFile } from '../../src/keys/providers/local.js';
import { DEFAULT_LIMITS } from '../../src/server/limits.js';
import { plantSecret } from '../streams.js';
import { API_KEY, GOOD, makeFolder, type Folder } from './folder.js';

const REGION = { AWS_REGION: 'eu-west-1' };
const GCP = 'projects/p/locations/l/keyRings/r/cryptoKeys/k';
const VAULT = { provider: 'vault-transit', address: 'https://vault.example.com:8200', tokenFile: 'api-key' };
const CLOUD = { ...REGION, TEMPORAL_API_KEY: API_KEY };

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
  const { cert, key, ca } = await makeCertificates();
  await folder.write('cert.pem', cert);
  await folder.write('cert.key', key);
  await folder.write('ca.pem', ca, 0o644);
  const old = await makeCertificates({ days: 1, now: () => Date.parse('2020-01-01') });
  await folder.write('old.pem', old.cert);
  await folder.write('old.key', old.key);
  const early = await makeCertificates({ now: () => Date.now() + 7_200_000 });
  await folder.write('early.pem', early.cert);
  await folder.write('early.key', early.key);
  await folder.write('empty', '');
  await folder.write('open.key', key, 0o644);
  await folder.write('group.key', key, 0o440);
  await folder.write('api-key', `${API_KEY}\n`);
  await folder.write('two-lines', `${API_KEY}\n${API_KEY}`);
  await folder.write('twice.yaml', newLocalKeyFile('one') + newLocalKeyFile('one').replace('keys:\n', ''));
  await folder.write('short.yaml', 'keys: [{ id: a, secret: AAAA }]');
  const sample = Buffer.from('test-key-test-key-test-key-test!').toString('base64');
  await folder.write('sample.yaml', `keys: [{ id: a, secret: "${sample}" }]`);
  await folder.write('broken.yaml', 'keys:\n  - id: "a\n');
  await folder.write('latin1', Buffer.from([0x6b, 0xe9]));
});
afterAll(() => folder.remove());

describe('a configuration without a mistake', () => {
  test('has the defaults where the file says nothing', async () => {
    await folder.configure(GOOD);
    const { server, audit, metrics, logLevel, access, keys } = await folder.config();
    expect(server).toEqual({
      listen: { host: '127.0.0.1', port: 8081 },
      publicUrl: 'http://127.0.0.1:8081',
      trustedProxies: [],
      cors: { origins: ['https://cloud.temporal.io'], credentials: true },
      denied: 'error',
      limits: DEFAULT_LIMITS,
    });
    expect(audit).toEqual({ file: join(folder.path, 'keyhole-audit.ndjson') });
    expect(metrics).toEqual({ host: '127.0.0.1', port: 9464 });
    expect(logLevel).toBe('info');
    expect(keys[0]).toMatchObject({ write: 'keyhole/v1', unwrap: [], reads: [], passThrough: 'allow' });
    expect(access.rules).toEqual([
      {
        roles: ['account:owner', 'account:admin', 'inherited:admin', 'namespace:admin'],
        may: ['decode', 'encode', 'download'],
      },
      { roles: ['inherited:write', 'namespace:write'], may: ['encode'] },
    ]);
  });

  test('without a file is the seed’s system, from its variables alone', async () => {
    const place = await makeFolder();
    await place.write('tls/cert.pem', (await makeCertificates()).cert);
    const { cert, key } = await makeCertificates();
    await place.write('tls/cert.pem', cert);
    await place.write('tls/key.pem', key);
    const env = { ...CLOUD, SSL_PEM: 'tls/cert.pem', SSL_KEY: './tls/key.pem' };
    const { server, keys, access } = await place.config({ env });
    expect(server.tls).toEqual({
      cert: join(place.path, 'tls/cert.pem'),
      key: join(place.path, 'tls/key.pem'),
    });
    expect(server.publicUrl).toBe('https://127.0.0.1:8081');
    expect(keys).toEqual([
      {
        namespaces: ['*'],
        write: 'keyhole/v1',
        wrap: { provider: 'aws-kms', key: 'alias/{namespace}' },
        unwrap: [],
        reads: [{ format: 'encryption-jwt' }],
        passThrough: 'allow',
      },
    ]);
    expect(access.issuers).toEqual([{ preset: 'temporal-cloud' }]);
    expect(access.roles).toMatchObject({
      source: 'temporal-cloud',
      address: 'saas-api.tmprl.cloud:443',
      apiVersion: '2024-05-13-00',
      freshMs: 60_000,
      staleMs: 300_000,
    });
    await place.remove();
  });

  test('believes Temporal Cloud’s login beside a list of people, of the domains that it names', async () => {
    const issuers = [{ preset: 'temporal-cloud', emailDomains: ['example.com'] }];
    await folder.configure({ ...GOOD, access: { ...GOOD.access, issuers } });
    expect((await folder.config()).access.issuers).toEqual(issuers);
  });

  test('may let one caller have what fills the limits of one request', async () => {
    const limits = { payloads: 100, callerPayloadsPerMinute: 100, bodyBytes: 1048576, heldBytes: 1048576 };
    await folder.configure({ ...GOOD, limits });
    expect((await folder.config()).server.limits).toMatchObject(limits);
  });

  test('warns of people for whose e-mails no issuer vouches, once for each domain', async () => {
    const people = {
      'alice@Example.com': [],
      'bob@other.example': [],
      'carol@OTHER.example': [],
      'dan@b.example.com': [],
    };
    const issuers = [...GOOD.access.issuers, { preset: 'temporal-cloud', emailDomains: ['third.example'] }];
    await folder.configure({ ...GOOD, access: { issuers, roles: { source: 'static', people } } });
    const { warnings } = await folder.config();
    expect(warnings.filter((line) => line.includes('vouches'))).toEqual([
      'access.roles.people: no issuer vouches for e-mails of other.example: setting access.issuers[].emailDomains',
      'access.roles.people: no issuer vouches for e-mails of b.example.com: setting access.issuers[].emailDomains',
    ]);
  });

  test('takes the environment before the file, with paths from the working directory', async () => {
    const sub = join(folder.path, 'elsewhere');
    await folder.write(
      'elsewhere/my.yaml',
      JSON.stringify({ ...GOOD, listen: '127.0.0.1:1', tls: { cert: 'a', key: 'b' } }).replace(
        'keys.yaml',
        '../keys.yaml',
      ),
    );
    const env = {
      KEYHOLE_CONFIG: 'elsewhere/my.yaml',
      KEYHOLE_LISTEN: '[::1]:2',
      KEYHOLE_LOG_LEVEL: 'debug',
      KEYHOLE_ACCOUNT: 'a1b2c',
      SSL_PEM: 'cert.pem',
      SSL_KEY: 'cert.key',
    };
    const config = await folder.config({ env });
    expect(config.server.listen).toEqual({ host: '::1', port: 2 });
    expect(config.server.publicUrl).toBe('https://[::1]:2');
    expect(config.server.tls?.cert).toBe(join(folder.path, 'cert.pem'));
    expect(config.audit).toEqual({ file: join(sub, 'keyhole-audit.ndjson') });
    expect(config.logLevel).toBe('debug');
    expect(config.access.account).toBe('a1b2c');
  });

  test('takes -c before KEYHOLE_CONFIG', async () => {
    const file = await folder.write('chosen.yaml', JSON.stringify({ ...GOOD, listen: '127.0.0.1:3' }));
    const { server } = await folder.config({ file, env: { KEYHOLE_CONFIG: 'nowhere.yaml' } });
    expect(server.listen.port).toBe(3);
  });

  test('takes an empty variable for none', async () => {
    await folder.configure(GOOD);
    expect(
      await folder.problems({ env: { SSL_PEM: '', SSL_KEY: '', KEYHOLE_LISTEN: '', KEYHOLE_CONFIG: '' } }),
    ).toEqual([]);
  });

  test('takes a key file that its group may read, as Kubernetes mounts it', async () => {
    await folder.configure({ ...GOOD, tls: { cert: 'cert.pem', key: 'group.key' } });
    expect(await folder.problems()).toEqual([]);
  });

  test('reads the API key from its file again and again', async () => {
    await folder.configure({ ...GOOD, access: { roles: { apiKeyFile: 'api-key' } } });
    const { access } = await folder.config({ env: REGION });
    if (access.roles.source !== 'temporal-cloud') throw new Error('another source');
    expect(await access.roles.apiKey()).toBe(API_KEY);
    await folder.write('api-key', plantSecret('operations-key-b-81f2c4d6e0a9'));
    expect(await access.roles.apiKey()).toBe('operations-key-b-81f2c4d6e0a9');
    await folder.write('api-key', API_KEY);
  });

  test('warns of what is no mistake', async () => {
    await folder.configure({ ...GOOD, audit: 'stdout' });
    const { warnings } = await folder.config({ process: { execArgv: [], nodeVersion: '20.20.2' } });
    expect(warnings).toEqual([
      'Node 20.20.2 is past its end of life: use 22 or newer',
      'there is no tls: what passes the listener can be read on its network',
      'the record goes to stdout: it is only as durable as what reads it',
    ]);
    await folder.configure({ ...GOOD, tls: { cert: 'cert.pem', key: 'cert.key' } });
    expect((await folder.config({ process: { execArgv: [], nodeVersion: '22.0.0' } })).warnings).toEqual([]);
  });

  test('warns of a certificate that ends within 14 days', async () => {
    const { cert, key } = await makeCertificates({ days: 10 });
    const tls = { cert: await folder.write('soon.pem', cert), key: await folder.write('soon.key', key) };
    await folder.configure({ ...GOOD, tls });
    const end = new Date(new X509Certificate(cert).validTo).toISOString();
    expect((await folder.config()).warnings).toEqual([`tls.cert: the certificate ends soon, at ${end}`]);
    const env = { SSL_PEM: tls.cert, SSL_KEY: tls.key };
    await folder.configure(GOOD);
    expect((await folder.config({ env })).warnings).toEqual([
      `SSL_PEM: the certificate ends soon, at ${end}`,
    ]);
  });

  test.each([
    ['https://localhost:8081', undefined],
    ['https://127.0.0.1:8081/codec', undefined],
    ['https://[::1]:8081', undefined],
    ['https://codec.example.com', 'codec.example.com'],
    ['https://10.1.2.3', '10.1.2.3'],
    ['https://[fd00::1]', 'fd00::1'],
  ])('warns where the certificate does not name the host of publicUrl: %s', async (publicUrl, host) => {
    await folder.configure({ ...GOOD, publicUrl, tls: { cert: 'cert.pem', key: 'cert.key' } });
    expect((await folder.config()).warnings).toEqual(
      host === undefined ? [] : [`tls.cert: the certificate does not name ${host}, the host of publicUrl`],
    );
  });

  test('leaves nothing behind where it was read', async () => {
    await folder.configure(GOOD);
    await folder.config();
    await expect(stat(join(folder.path, 'keyhole-audit.ndjson'))).rejects.toThrow('ENOENT');
  });
});

const KEYS = GOOD.keys[0];
const ISSUER = GOOD.access.issuers[0];
const TEXT = 'must be text (in quotes, where YAML takes it for something else)';
const ORIGIN = 'must be one origin, such as https://cloud.temporal.io: no path, no *, not null';
const LISTENS_WIDE = 'listen: beyond this machine only with tls, or behind trustedProxies';
const INLINE = 'a secret is never written into this file: give it by a variable, or by the path of a file';
const UNBOUND = 'encryption-jwt, which binds none, cannot be used with it';
const GRANT = 'must be account:ROLE, or ROLE@NAMESPACE with an inherited:, namespace: or custom: role';
const THERE =
  'there are listen, publicUrl, trustedProxies, tls, cors, denied, limits, keys, access, audit, metrics';

const access = (more: object): object => ({ access: { ...GOOD.access, ...more } });
const issuer = (more: object): object => access({ issuers: [{ ...ISSUER, ...more }] });
const roles = (value: object): object => access({ roles: value });
const keys = (...entries: object[]): object => ({ keys: entries });
const rule = (value: object): object =>
  access({ rules: [{ roles: ['namespace:admin'], may: ['decode'], ...value }] });
const local = (file: string): object => keys({ ...KEYS, wrap: { provider: 'local', file } });

interface Mistake {
  readonly what: string;
  readonly change: object;
  readonly env: Record<string, string>;
  readonly lines: readonly string[];
}

type Short = readonly [what: string, change: object, env: Record<string, string>, ...lines: string[]];

const SHORT: readonly Short[] = [
  ['an unknown key', { colour: 1 }, {}, `colour: is not a key here; ${THERE}`],
  ['a key of a later version', { signIn: null }, {}, `signIn: is not a key here; ${THERE}`],
  [
    'an unknown key inside',
    { cors: { origin: [] } },
    {},
    'cors.origin: is not a key here; there are origins, credentials',
  ],
  ['a number for text', { publicUrl: 8081 }, {}, `publicUrl: ${TEXT}`],
  ['no address', { listen: 'here' }, {}, 'listen: must be host:port'],
  ['a port too high', { listen: '127.0.0.1:65536' }, {}, 'listen: must be host:port'],
  ['no address by environment', {}, { KEYHOLE_LISTEN: ':' }, 'KEYHOLE_LISTEN: must be host:port'],
  ['every interface without tls', { listen: '0.0.0.0:8081' }, {}, LISTENS_WIDE],
  [
    'another address without tls, by environment',
    {},
    { KEYHOLE_LISTEN: '10.0.0.1:1' },
    LISTENS_WIDE.replace('listen', 'KEYHOLE_LISTEN'),
  ],
  ['a proxy that is no CIDR', { trustedProxies: ['10.0.0.0/33'] }, {}, 'trustedProxies[0]: must be a CIDR'],
  [
    'an http public address beyond loopback',
    { listen: '0.0.0.0:1', trustedProxies: ['10.0.0.0/8'], publicUrl: 'http://x.example' },
    {},
    'publicUrl: must be an https address without user, query and fragment; http only while listening on loopback',
  ],
  ['half a key pair', { tls: { cert: 'cert.pem' } }, {}, 'tls.key: is required'],
  [
    'half a key pair by environment',
    {},
    { SSL_PEM: 'cert.pem' },
    'SSL_KEY: is required where SSL_PEM is set',
  ],
  ['the other half', {}, { SSL_KEY: 'cert.key' }, 'SSL_PEM: is required where SSL_KEY is set'],
  [
    'key pair files that are not there',
    { tls: { cert: 'no.pem', key: 'no.key' } },
    {},
    'tls.cert: there is no such file in FOLDER',
    'tls.key: there is no such file in FOLDER',
  ],
  ['a directory for a file', { tls: { cert: '.', key: 'cert.key' } }, {}, 'tls.cert: is not a file: FOLDER'],
  [
    'files that hold something else',
    { tls: { cert: 'empty', key: 'empty' } },
    {},
    'tls.cert: the file FOLDER/empty does not hold a certificate in PEM',
    'tls.key: the file FOLDER/empty does not hold a private key without a passphrase in PEM',
  ],
  [
    'another certificate’s key',
    {},
    { SSL_PEM: 'cert.pem', SSL_KEY: 'old.key' },
    'SSL_KEY: is not the key of the certificate',
  ],
  [
    'an expired certificate',
    { tls: { cert: 'old.pem', key: 'old.key' } },
    {},
    'tls.cert: the certificate has expired',
  ],
  [
    'a certificate of tomorrow',
    { tls: { cert: 'early.pem', key: 'early.key' } },
    {},
    'tls.cert: the certificate is not valid yet',
  ],
  [
    'a key that others can read',
    { tls: { cert: 'cert.pem', key: 'open.key' } },
    {},
    'tls.key: the file FOLDER/open.key can be read by others, or written by its group: chmod 600',
  ],
  [
    'any origin',
    { cors: { origins: ['*', 'null', 'https://*.example'] } },
    {},
    `cors.origins[0]: ${ORIGIN}`,
    `cors.origins[1]: ${ORIGIN}`,
    `cors.origins[2]: ${ORIGIN}`,
  ],
  ['an origin with a path', { cors: { origins: ['https://ui.example/'] } }, {}, `cors.origins[0]: ${ORIGIN}`],
  [
    'an http origin beyond loopback',
    { listen: '0.0.0.0:1', trustedProxies: ['10.0.0.0/8'], cors: { origins: ['http://localhost:8080'] } },
    {},
    'cors.origins[0]: an http origin may call only while listening on loopback',
  ],
  [
    'an unknown answer to the denied',
    { denied: 'maybe' },
    {},
    'denied: must be one of error, encrypted, notice',
  ],
  [
    'a limit beyond its bound',
    { limits: { bodyBytes: 67108865, payloads: 0 } },
    {},
    'limits.bodyBytes: must be a whole number from 1024 to 67108864',
    'limits.payloads: must be a whole number from 1 to 100000',
  ],
  [
    'a limit that is no whole number',
    { limits: { waiting: 1.5 } },
    {},
    'limits.waiting: must be a whole number from 0 to 65536',
  ],
  [
    'limits of which one refuses for ever what another lets in',
    { limits: { payloads: 100, callerPayloadsPerMinute: 99, bodyBytes: 1048577, heldBytes: 1048576 } },
    {},
    'limits.callerPayloadsPerMinute: must not be less than limits.payloads',
    'limits.heldBytes: must not be less than limits.bodyBytes',
  ],
  ['no keys', { keys: [] }, {}, 'keys: must not be empty'],
  [
    'a key service that is not known',
    keys({ ...KEYS, wrap: { provider: 'hsm' } }),
    {},
    'keys[0].wrap.provider: must be one of aws-kms, gcp-kms, azure-key-vault, vault-transit, local',
  ],
  ['no key', keys({ namespaces: ['a'] }), {}, 'keys[0].wrap: is required'],
  [
    'no namespace',
    keys({ ...KEYS, namespaces: ['a b', '*.*'] }),
    {},
    'keys[0].namespaces[0]: must be a namespace, or a pattern with one *',
    'keys[0].namespaces[1]: must be a namespace, or a pattern with one *',
  ],
  [
    'two entries for one name',
    keys(KEYS, KEYS),
    {},
    'keys[1].namespaces[0]: is as specific as keys[0].namespaces[0] for some namespace',
  ],
  [
    'two patterns for one name',
    keys({ ...KEYS, namespaces: ['ab*', '*cd'] }),
    {},
    'keys[0].namespaces[1]: is as specific as keys[0].namespaces[0] for some namespace',
  ],
  [
    'an unknown format',
    keys({ ...KEYS, write: 'rot13', reads: ['fernets'] }),
    {},
    'keys[0].write: must be one of keyhole/v1, encryption-jwt',
    'keys[0].reads[0].format: must be one of encryption-jwt, compression, static-key, fernet, temporal-proxy',
  ],
  [
    'a name with "_" under a template',
    keys({ namespaces: ['a_b'], wrap: { provider: 'aws-kms' } }),
    REGION,
    'keys[0].wrap.key: a namespace with "_" in its name cannot use {namespace}: name its key',
  ],
  [
    'no name of a KMS key',
    keys({ namespaces: ['a'], wrap: { provider: 'aws-kms', key: 'my key' } }),
    REGION,
    'keys[0].wrap.key: must be an alias, an ARN or a key id of AWS KMS, with {namespace} for the namespace',
  ],
  [
    'a key of Google Cloud KMS with its version, beside a log that would show data keys',
    keys({ ...KEYS, wrap: { provider: 'gcp-kms', key: `${GCP}/cryptoKeyVersions/1` } }),
    { GOOGLE_SDK_NODE_LOGGING: '*' },
    'keys[0].wrap.key: a Google Cloud KMS key is named projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version',
    'GOOGLE_SDK_NODE_LOGGING: must not be set: the SDK of gcp-kms would log data keys',
  ],
  [
    'a secret of Azure Key Vault',
    keys({ ...KEYS, wrap: { provider: 'azure-key-vault', key: 'https://v.vault.azure.net/secrets/s' } }),
    {},
    'keys[0].wrap.key: an Azure key is named https://VAULT/keys/NAME, with or without /VERSION',
  ],
  [
    'a namespace that Azure’s names cannot hold',
    keys({
      namespaces: ['Orders.a1b2c'],
      wrap: { provider: 'azure-key-vault', key: 'https://v.vault.azure.net/keys/{namespace}' },
    }),
    {},
    'keys[0].wrap.key: namespace Orders.a1b2c cannot stand in the name of an Azure key: name its key in an entry of its own',
  ],
  [
    'a Vault over plain http, and a token file that others can read',
    keys({ ...KEYS, wrap: { ...VAULT, address: 'http://vault.example.com:8200', tokenFile: 'open.key' } }),
    {},
    'keys[0].wrap: a Vault address begins with https://, or on this machine with http://',
    'keys[0].wrap.tokenFile: the file FOLDER/open.key can be read by others, or written by its group: chmod 600',
  ],
  [
    'a Vault token of two lines',
    keys({ ...KEYS, wrap: { ...VAULT, tokenFile: 'two-lines' } }),
    {},
    'keys[0].wrap.tokenFile: the file FOLDER/two-lines does not hold one token',
  ],
  [
    'a name with "_" under a template of a transit engine',
    keys({ namespaces: ['a_b'], wrap: VAULT }),
    {},
    'keys[0].wrap: namespace a_b has a "_" and cannot use the key template {namespace}: name its key in an entry of its own',
  ],
  [
    'a transit key of two entries under a format without binding',
    keys(
      { namespaces: ['a'], wrap: { ...VAULT, key: 'one' }, reads: ['encryption-jwt'] },
      { namespaces: ['b'], wrap: { ...VAULT, key: 'one' } },
    ),
    {},
    'keys[0].wrap: is the key of keys[1].wrap too, so encryption-jwt, which binds no namespace, cannot be used with it',
  ],
  [
    'a shared key under a format without binding',
    keys({ ...KEYS, namespaces: ['a', 'b'], reads: ['encryption-jwt'] }),
    {},
    `keys[0].wrap: serves several namespaces, so ${UNBOUND}`,
  ],
  [
    'the same under a pattern',
    keys({ ...KEYS, namespaces: ['*'], write: 'encryption-jwt' }),
    {},
    `keys[0].wrap: serves several namespaces, so ${UNBOUND}`,
  ],
  [
    'the same over two entries',
    keys({ ...KEYS, reads: ['encryption-jwt'] }, { ...KEYS, namespaces: ['b'] }),
    {},
    'keys[0].wrap: is the key of keys[1].wrap too, so encryption-jwt, which binds no namespace, cannot be used with it',
  ],
  [
    'a key file that is not there',
    local('none.yaml'),
    {},
    'keys[0].wrap.file: there is no such file in FOLDER',
  ],
  [
    'a key file with an id twice',
    local('twice.yaml'),
    {},
    'keys[0].wrap.file: in the key file FOLDER/twice.yaml: a local key id is there twice',
  ],
  [
    'a key file with a short secret',
    local('short.yaml'),
    {},
    'keys[0].wrap.file: in the key file FOLDER/short.yaml: keys[0].secret: must be 32 bytes in standard base64',
  ],
  [
    'the samples’ published key',
    local('sample.yaml'),
    {},
    'keys[0].wrap.file: the key file FOLDER/sample.yaml holds a key that is published',
  ],
  [
    'a key file that is no YAML',
    local('broken.yaml'),
    {},
    'keys[0].wrap.file: in line 3 of the key file FOLDER/broken.yaml: a quote, bracket or comma is missing',
  ],
  [
    'a key file that is no text',
    local('latin1'),
    {},
    'keys[0].wrap.file: the file FOLDER/latin1 is not text in UTF-8',
  ],
  [
    'a key written inline',
    keys({ ...KEYS, wrap: { provider: 'local', file: 'keys.yaml', secret: 'x' } }),
    {},
    `keys[0].wrap.secret: ${INLINE}`,
  ],
  ['no issuer', access({ issuers: [] }), {}, 'access.issuers: must not be empty'],
  [
    'an issuer over http',
    issuer({ issuer: 'http://idp.example/', jwks: 'http://idp.example/jwks' }),
    {},
    'access.issuers[0].issuer: must be an https address',
    'access.issuers[0].jwks: must be an https address',
  ],
  ['no audience', issuer({ audience: [] }), {}, 'access.issuers[0].audience: must not be empty'],
  ['any audience', issuer({ audience: '*' }), {}, 'access.issuers[0].audience: must be a name, without *'],
  [
    'no e-mail domains',
    access({ issuers: [{ issuer: 'https://idp.example/', audience: 'keyhole' }] }),
    {},
    'access.issuers[0].emailDomains: is required: roles are looked up by e-mail',
  ],
  [
    'an issuer twice, with its domain',
    access({ issuers: [ISSUER, { ...ISSUER, emailDomains: ['EXAMPLE.com'] }] }),
    {},
    'access.issuers[1].issuer: is the same as access.issuers[0].issuer',
    'access.issuers[1].emailDomains[0]: is the same as access.issuers[0].emailDomains[0]',
  ],
  [
    'an authority that is none',
    issuer({ ca: 'empty' }),
    {},
    'access.issuers[0].ca: the file FOLDER/empty does not hold a certificate in PEM',
  ],
  [
    'a preset that is not known',
    access({ issuers: [{ preset: 'okta' }] }),
    {},
    'access.issuers[0].preset: must be temporal-cloud',
  ],
  [
    'Temporal Cloud’s issuer without the preset, which tells its customers apart',
    issuer({ issuer: 'https://login.tmprl.cloud/' }),
    {},
    'access.issuers[0].issuer: serves all customers of Temporal Cloud: write preset: temporal-cloud',
  ],
  [
    'an e-mail of Temporal Cloud’s login alone, with a list of people',
    access({ issuers: [{ preset: 'temporal-cloud' }] }),
    {},
    'access.issuers[0].emailDomains: is required for source: static: this issuer serves all customers of Temporal Cloud',
  ],
  [
    'a domain of Temporal Cloud’s login and of another',
    access({
      issuers: [
        { preset: 'temporal-cloud', emailDomains: ['example.com'] },
        { ...GOOD.access.issuers[0], emailDomains: ['EXAMPLE.com'] },
      ],
    }),
    {},
    'access.issuers[1].emailDomains[0]: is the same as access.issuers[0].emailDomains[0]',
  ],
  [
    'an algorithm',
    issuer({ algorithms: ['HS256'] }),
    {},
    'access.issuers[0].algorithms: is not a key here; there are issuer, audience, jwks, ca, claims, emailDomains, subjects, accept',
  ],
  [
    'people of another source',
    roles({ people: {} }),
    { TEMPORAL_API_KEY: API_KEY },
    'access.roles.people: is only for source: static',
  ],
  [
    'a list of people without people',
    roles({ source: 'static' }),
    {},
    'access.roles.people: is required for source: static',
  ],
  [
    'a grant that is none',
    roles({ source: 'static', people: { 'a@x.example': ['boss', 'namespace:admin'] } }),
    {},
    `access.roles.people["a@x.example"][0]: ${GRANT}`,
    `access.roles.people["a@x.example"][1]: ${GRANT}`,
  ],
  [
    'a person twice',
    roles({ source: 'static', people: { 'a@x.example': [], 'A@x.example': [] } }),
    {},
    'access.roles.people["A@x.example"]: is the same as access.roles.people["a@x.example"]',
  ],
  [
    'a person without an address',
    roles({ source: 'static', people: { alice: [] } }),
    {},
    'access.roles.people[0]: is not an e-mail address',
  ],
  [
    'no API key',
    roles({}),
    {},
    'TEMPORAL_API_KEY: is required for source: temporal-cloud (or access.roles.apiKeyFile)',
  ],
  [
    'an API key given twice',
    roles({ apiKeyFile: 'api-key' }),
    { TEMPORAL_API_KEY: API_KEY },
    'TEMPORAL_API_KEY: is given twice: access.roles.apiKeyFile is set too',
  ],
  [
    'an API key that no header can carry',
    roles({}),
    { TEMPORAL_API_KEY: `${API_KEY} x` },
    'TEMPORAL_API_KEY: does not hold one API key',
  ],
  [
    'an API key file with two',
    roles({ apiKeyFile: 'two-lines' }),
    {},
    'access.roles.apiKeyFile: the file FOLDER/two-lines does not hold one API key',
  ],
  [
    'an API key inline',
    roles({ apiKey: API_KEY }),
    { TEMPORAL_API_KEY: API_KEY },
    `access.roles.apiKey: ${INLINE}`,
  ],
  [
    'an API key for a path',
    roles({ apiKeyFile: API_KEY }),
    {},
    'access.roles.apiKeyFile: there is no such file in FOLDER',
  ],
  [
    'ages above their caps',
    roles({ freshSeconds: 301, staleSeconds: 901 }),
    { TEMPORAL_API_KEY: API_KEY },
    'access.roles.freshSeconds: must be a whole number from 1 to 300',
    'access.roles.staleSeconds: must be a whole number from 1 to 900',
  ],
  [
    'stale before fresh',
    roles({ freshSeconds: 60, staleSeconds: 59 }),
    { TEMPORAL_API_KEY: API_KEY },
    'access.roles.staleSeconds: must not be less than freshSeconds',
  ],
  [
    'no address of the API',
    roles({}),
    { TEMPORAL_API_KEY: API_KEY, TEMPORAL_OPS_ADDRESS: 'https://x' },
    'TEMPORAL_OPS_ADDRESS: must be host:port',
  ],
  [
    'no version of the API',
    roles({}),
    { TEMPORAL_API_KEY: API_KEY, TEMPORAL_OPS_API_VERSION: 'a b' },
    'TEMPORAL_OPS_API_VERSION: must be a version, such as 2024-05-13-00',
  ],
  ['no account id', access({ account: 'a/b' }), {}, 'access.account: must be an account id, such as a1b2c'],
  ['no rules', access({ rules: [] }), {}, 'access.rules: must not be empty'],
  [
    'a role that there is not',
    rule({ roles: ['namespace:boss'] }),
    {},
    'access.rules[0].roles[0]: must be one of account:owner, account:admin, account:developer, account:finance_admin, account:read, account:metrics_read, inherited:admin, inherited:write, inherited:read, namespace:admin, namespace:write, namespace:read, custom:ID, claim:GROUP',
  ],
  [
    'an action that there is not',
    rule({ may: ['delete'] }),
    {},
    'access.rules[0].may[0]: must be one of decode, encode, download',
  ],
  [
    'a namespace without a key',
    rule({ namespaces: ['billing.a1b2c'] }),
    {},
    'access.rules[0].namespaces[0]: no entry of keys covers this namespace',
  ],
  [
    'no place for the record',
    { audit: { file: 'no/where.ndjson' } },
    {},
    'audit.file: its directory FOLDER/no does not exist',
  ],
  [
    'a webhook in the clear',
    { audit: { webhook: { url: 'http://collector.example/' } } },
    {},
    'audit.webhook.url: must be an https address',
  ],
  [
    'a webhook whose address holds a secret',
    { audit: { webhook: { url: 'https://me:secret@collector.example/' } } },
    {},
    'audit.webhook.url: a secret is never written into this file: use authorizationFile',
  ],
  [
    'a webhook whose authorization is not there',
    { audit: { webhook: { url: 'https://collector.example/', authorizationFile: 'none' } } },
    {},
    'audit.webhook.authorizationFile: there is no such file in FOLDER',
  ],
  [
    'a webhook whose authorization is no header value',
    { audit: { webhook: { url: 'https://collector.example/', authorizationFile: 'keys.yaml' } } },
    {},
    'audit.webhook.authorizationFile: the file FOLDER/keys.yaml does not hold the value of an Authorization header, such as Bearer …',
  ],
  [
    'a webhook with a token in the file',
    { audit: { webhook: { url: 'https://collector.example/', token: 'abc' } } },
    {},
    'audit.webhook.token: a secret is never written into this file: give it by a variable, or by the path of a file',
  ],
  ['no file for the record', { audit: null }, {}, 'audit: must be a mapping with file, webhook'],
  ['a directory for the record', { audit: { file: '.' } }, {}, 'audit.file: is not a file: FOLDER'],
  ['another place for the record', { audit: 'stderr' }, {}, 'audit: must be stdout, or { file: PATH }'],
  [
    'metrics where callers come',
    { metrics: { listen: '127.0.0.1:8081' } },
    {},
    'metrics.listen: is the same as listen',
  ],
  [
    'metrics on every interface, at the port where callers come',
    { metrics: { listen: '0.0.0.0:9000' } },
    { KEYHOLE_LISTEN: '127.0.0.1:9000' },
    'metrics.listen: is the same as listen',
  ],
  ['no address for metrics', { metrics: { listen: '9464' } }, {}, 'metrics.listen: must be host:port'],
  [
    'no log level',
    {},
    { KEYHOLE_LOG_LEVEL: 'loud' },
    'KEYHOLE_LOG_LEVEL: must be one of fatal, error, warn, info, debug, trace, silent',
  ],
  [
    'certificates unchecked',
    {},
    { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    'NODE_TLS_REJECT_UNAUTHORIZED: must not be 0: certificates would not be checked',
  ],
  [
    'a debugger',
    {},
    { NODE_OPTIONS: '--max-old-space-size=99 --inspect=0' },
    'NODE_OPTIONS: must not have --inspect: a debugger can read every key',
  ],
  [
    'a lenient parser',
    {},
    { NODE_OPTIONS: '--insecure-http-parser' },
    'NODE_OPTIONS: must not have --insecure-http-parser',
  ],
  [
    'a lenient parser, written otherwise',
    {},
    { NODE_OPTIONS: '"--insecure_http_parser"' },
    'NODE_OPTIONS: must not have --insecure-http-parser',
  ],
];

const MISTAKES = SHORT.map(([what, change, env, ...lines]): Mistake => ({ what, change, env, lines }));

describe('a mistake is told with its place', () => {
  test.each(MISTAKES)('$what', async ({ change, env, lines }) => {
    await folder.configure({ ...GOOD, ...change });
    const process = { execArgv: [], nodeVersion: '22.0.0' };
    expect(await folder.problems({ env, process })).toEqual(
      lines.map((line) => line.replaceAll('FOLDER', folder.path)),
    );
  });

  test('a debugger on the command line', async () => {
    await folder.configure(GOOD);
    const process = { execArgv: ['--inspect_brk', '--insecure_http_parser'], nodeVersion: '22.0.0' };
    expect(await folder.problems({ process })).toEqual([
      'node: must not have --inspect: a debugger can read every key',
      'node: must not have --insecure-http-parser',
    ]);
  });

  test('metrics at another address of the same port, or both at a free one, are none', async () => {
    await folder.configure({ ...GOOD, listen: '127.0.0.1:9000', metrics: { listen: '127.0.0.2:9000' } });
    expect(await folder.problems()).toEqual([]);
    await folder.configure({ ...GOOD, listen: '127.0.0.1:0', metrics: { listen: '127.0.0.1:0' } });
    expect(await folder.problems()).toEqual([]);
  });

  test('a record that belongs to another user, or a directory that is closed', async (context) => {
    if (process.getuid?.() !== 0) context.skip('needs root, to become somebody else');
    const place = await makeFolder();
    await chmod(place.path, 0o777);
    const file = await place.write('record.ndjson', '');
    expect(await fileProblemAs(65534, file)).toBe(
      `the file ${file} belongs to another user, and this one may not read and write it: chown it, or move it away`,
    );
    await chmod(place.path, 0o755);
    expect(await fileProblemAs(65534, join(place.path, 'new.ndjson'))).toBe(
      `this user may not write in its directory ${place.path}`,
    );
    await place.remove();
  });

  test('a certificate whose key is too small', async () => {
    const { weak, key } = await weakCertificate();
    await folder.write('weak.pem', weak);
    await folder.write('weak.key', key);
    await folder.configure({ ...GOOD, tls: { cert: 'weak.pem', key: 'weak.key' } });
    expect(await folder.problems()).toEqual([
      "tls.cert: the certificate's key is too small: RSA from 2048 bits on, or EC from 256",
    ]);
  });

  test('all of them at once', async () => {
    const changes = [{ colour: 1 }, { denied: 'maybe' }, { audit: 'stderr' }, local('none.yaml')];
    await folder.configure(Object.assign({}, GOOD, ...changes) as object);
    expect(await folder.problems({ env: { KEYHOLE_LOG_LEVEL: 'loud', SSL_KEY: 'x' } })).toHaveLength(6);
  });
});

describe('a file that cannot be read', () => {
  const FILE = 'keyhole.yaml';

  test.each([
    ['a key twice', 'listen: a\ndenied: error\nlisten: b\n', `${FILE}:3:1: a key is there twice`],
    [
      'a bracket that is not closed',
      'keys: [\n',
      `${FILE}:2:1: the indentation does not fit, or a bracket is not closed`,
    ],
    [
      'a star without quotes',
      'keys:\n  - namespaces: [*.a1b2c]\n',
      `${FILE}:2:18: aliases are not taken; put text that begins with * into quotes`,
    ],
    [
      'a line that is indented too far',
      'denied: error\n  listen: a\n',
      `${FILE}:1:9: a value here holds a key: the line after it is indented too far, or text with ": " lacks its quotes`,
    ],
    ['a tab', 'cors:\n\torigins: []\n', `${FILE}:2:1: indent with spaces, not with tabs`],
    [
      'a second document',
      'denied: error\n---\ndenied: error\n',
      `${FILE}:2:1: one document is expected, without a second "---"`,
    ],
    ['a tag', 'denied: !!binary aaaa\n', `${FILE}:1:18: tags are not taken`],
    ['a list', '- denied\n', `: must be a mapping with ${THERE.slice('there are '.length)}`],
  ])('%s', async (_, content, line) => {
    await folder.configure(content);
    expect(await folder.problems({ env: CLOUD })).toEqual([line]);
  });

  test('an anchor bomb is refused at its anchors', async () => {
    const levels = Array.from({ length: 20 }, (_, level) =>
      level === 0 ? 'a0: &a0 [x, x]' : `a${level}: &a${level} [*a${level - 1}, *a${level - 1}]`,
    );
    await folder.configure(levels.join('\n'));
    const problems = await folder.problems({ env: CLOUD });
    expect(problems).toHaveLength(20);
    expect(problems[0]).toBe(`${FILE}:1:9: anchors are not taken; put text that begins with & into quotes`);
  });

  test('a large one is not read', async () => {
    await folder.configure(`# ${'x'.repeat(256 * 1024)}\n`);
    expect(await folder.problems()).toEqual([
      `configuration: the file ${join(folder.path, FILE)} is larger than 262144 bytes`,
    ]);
  });

  test('a deep one is told, not fallen over', async () => {
    await folder.configure(`denied: ${'['.repeat(30_000)}`);
    expect((await folder.problems()).length).toBeGreaterThan(0);
  });

  test('one that is named and not there', async () => {
    const path = join(folder.path, 'no.yaml');
    expect(await folder.problems({ file: 'no.yaml' })).toEqual([`-c: there is no such file: ${path}`]);
    expect(await folder.problems({ env: { KEYHOLE_CONFIG: 'no.yaml' } })).toEqual([
      `KEYHOLE_CONFIG: there is no such file: ${path}`,
    ]);
  });

  test('a prototype is a key like any other', async () => {
    await folder.configure('__proto__: { denied: notice }\nlimits: { __proto__: { payloads: 1 } }\n');
    expect(await folder.problems({ env: CLOUD })).toContain(`__proto__: is not a key here; ${THERE}`);
    expect(({} as { denied?: string }).denied).toBeUndefined();
  });
});

/** What the section says in a process of that user. */
async function fileProblemAs(uid: number, file: string): Promise<string> {
  const module = JSON.stringify(new URL('../../src/config/sections/audit.ts', import.meta.url).href);
  const script = `import { fileProblem } from ${module};
    process.setuid(${uid});
    console.log(await fileProblem(${JSON.stringify(file)}));`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
  return (await promisify(execFile)(process.execPath, args)).stdout.trim();
}

async function weakCertificate(): Promise<{ weak: string; key: string }> {
  const x509 = await import('@peculiar/x509');
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 1024,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const pair = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys: pair,
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
  });
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', pair.privateKey);
  return { weak: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}
