// Which way requests leave: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say, and a proxy that fails.
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fetchJsonBy } from '../../src/access/outgoing/fetch-json.js';
import { fetchTrusting } from '../../src/access/outgoing/trusting-fetch.js';
import { openEgress, readProxies, type Egress } from '../../src/config/egress.js';
import { openKeyring } from '../../src/config/open-wrapping-key.js';
import { Problems } from '../../src/config/reading/problems.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { KeyCalls } from '../../src/keys/key-calls.js';
import { startConnectProxy, type ConnectProxy } from '../parts/connect-proxy.js';
import { plantSecret } from '../streams.js';
import { GOOD, makeFolder } from './folder.js';

function egressOf(env: Readonly<Record<string, string>>): Egress {
  const problems = new Problems();
  const egress = openEgress(readProxies({ env, problems }));
  expect(problems.all).toEqual([]);
  return egress;
}

const PROXY = 'http://proxy.example:3128';
const STRAIGHT = { 'grpc.enable_http_proxy': 0 };

describe('NO_PROXY', () => {
  test.each([
    ['example.com', 'example.com:443', 'straight'],
    ['example.com', 'api.example.com:443', 'straight'],
    ['example.com', 'notexample.com:443', 'proxied'],
    ['.example.com', 'example.com:443', 'straight'],
    ['*.example.com', 'a.b.example.com:443', 'straight'],
    ['EXAMPLE.com', 'Api.Example.COM:443', 'straight'],
    ['example.com:8443', 'example.com:8443', 'straight'],
    ['example.com:8443', 'example.com:443', 'proxied'],
    ['.example.com:8443', 'a.example.com:8443', 'straight'],
    ['a.example, b.example', 'b.example:443', 'straight'],
    ['a.example  b.example', 'b.example:443', 'straight'],
    ['*', 'anything.example:443', 'straight'],
    ['10.1.2.3', '10.1.2.3:443', 'straight'],
    ['10.1.0.0/16', '10.1.255.9:443', 'straight'],
    ['10.1.0.0/16', '10.2.0.1:443', 'proxied'],
    ['10.1.0.0/16', 'name.example:443', 'proxied'],
    ['10.1.0.0/99', '10.1.0.1:443', 'proxied'],
    ['2001:db8::/32', '[2001:db8::7]:443', 'straight'],
    ['[2001:db8::7]', '[2001:db8::7]:443', 'straight'],
    ['3.4', '1.2.3.4:443', 'proxied'],
    ['', 'example.com:443', 'proxied'],
  ])('%j sends %s %s', (rules, address, way) => {
    const { channelTo } = egressOf({ HTTPS_PROXY: PROXY, NO_PROXY: rules });
    expect(channelTo(address).address).toBe(way === 'straight' ? address : 'proxy.example:3128');
  });

  test.each([
    'localhost:443',
    'a.localhost:443',
    '127.0.0.1:443',
    '[::1]:443',
    '169.254.169.254:80',
    '169.254.170.2:80',
    '[fd00:ec2::254]:80',
    '[fd00:ec2::23]:80',
    'metadata.google.internal:80',
  ])('is not needed for %s, which no proxy is ever told of', (address) => {
    const { channelTo } = egressOf({ HTTPS_PROXY: PROXY });
    expect(channelTo(address)).toEqual({ address, options: STRAIGHT });
  });
});

describe('the variables', () => {
  const target = 'api.example:443';

  test('are read in either case, the lower one first; an empty one is none', () => {
    const [upper, lower] = ['http://upper.example:1', 'http://lower.example:2'];
    expect(egressOf({ HTTPS_PROXY: upper }).channelTo(target).address).toBe('upper.example:1');
    expect(egressOf({ https_proxy: lower }).channelTo(target).address).toBe('lower.example:2');
    expect(egressOf({ HTTPS_PROXY: upper, https_proxy: lower }).channelTo(target).address).toBe(
      'lower.example:2',
    );
    expect(egressOf({ HTTPS_PROXY: upper, https_proxy: '' }).channelTo(target).address).toBe(
      'upper.example:1',
    );
    const none = egressOf({ HTTPS_PROXY: '' });
    expect([none.agents, none.channelTo(target)]).toEqual([
      undefined,
      { address: target, options: STRAIGHT },
    ]);
  });

  test('HTTP_PROXY is not for TLS', () => {
    expect(egressOf({ HTTP_PROXY: PROXY }).channelTo(target).address).toBe(target);
  });

  test('a proxy without a scheme or a port is taken as curl takes it', () => {
    expect(egressOf({ HTTPS_PROXY: 'proxy.example:3128' }).channelTo(target).address).toBe(
      'proxy.example:3128',
    );
    expect(egressOf({ HTTPS_PROXY: 'http://proxy.example/' }).channelTo(target).address).toBe(
      'proxy.example:80',
    );
    expect(egressOf({ HTTPS_PROXY: 'http://[2001:db8::1]:3128' }).channelTo(target).address).toBe(
      '[2001:db8::1]:3128',
    );
  });

  test('a channel keeps the name of its target, and carries user and password decoded', () => {
    const { channelTo } = egressOf({ HTTPS_PROXY: 'http://us%20er:p%40ss@proxy.example:3128' });
    expect(channelTo(target).options).toEqual({
      ...STRAIGHT,
      'grpc.http_connect_target': 'dns:api.example:443',
      'grpc.default_authority': 'api.example',
      'grpc.http_connect_creds': 'us er:p@ss',
    });
  });

  test.each([
    ['https://proxy.example', 'TLS to the proxy'],
    ['socks5://proxy.example', 'SOCKS'],
    ['http://', 'no host'],
    ['http://proxy.example/path', 'a path'],
    ['http://%ff@proxy.example', 'a user that cannot be decoded'],
  ])('%s is a mistake of the configuration: %s', async (value) => {
    const folder = await makeFolder();
    await folder.configure(GOOD);
    const sentence = 'must be http://HOST:PORT, with USER:PASSWORD@ if need be';
    expect(await folder.problems({ env: { HTTPS_PROXY: value } })).toEqual([`HTTPS_PROXY: ${sentence}`]);
    expect(await folder.problems({ env: { http_proxy: value } })).toEqual([`HTTP_PROXY: ${sentence}`]);
    await folder.remove();
  });
});

describe('a request through a proxy', () => {
  const PASSWORD = plantSecret('proxy-password-4c81d0e7');
  let certificates: Certificates;
  let proxy: ConnectProxy;
  let servers: Server[];

  beforeAll(async () => {
    certificates = await makeCertificates({ dns: ['far.test'] });
  });
  beforeEach(async () => {
    proxy = await startConnectProxy();
    servers = [];
    await place(
      'far.test:443',
      createHttpsServer(certificates, (_, answer) => answer.end('{"far":true}')),
    );
    await place(
      'plain.test:80',
      createHttpServer((_, answer) => answer.end('plain')),
    );
  });
  afterEach(async () => {
    await proxy.stop();
    for (const server of servers) server.close();
  });

  async function place(name: string, server: Server): Promise<void> {
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    proxy.places.set(name, (server.address() as AddressInfo).port);
  }

  const url = new URL('https://far.test/keys');
  const options = (): Parameters<ReturnType<typeof fetchJsonBy>>[1] => ({
    ca: certificates.ca,
    deadlineMs: 3_000,
    maxBytes: 1_000,
  });

  test('reaches a host that this machine cannot resolve, with the credentials of the variable', async () => {
    const address = proxy.url.replace('//', `//keyhole:${PASSWORD}@`);
    const { agents } = egressOf({ HTTPS_PROXY: address });
    expect(await fetchJsonBy(agents)(url, options())).toEqual({ far: true });
    expect(proxy.asked).toEqual(['far.test:443']);
    const given = Buffer.from(`keyhole:${PASSWORD}`).toString('base64');
    expect(proxy.authorizations).toEqual([`Basic ${given}`]);
  });

  test('checks the certificate of the target', async () => {
    const { agents } = egressOf({ HTTPS_PROXY: proxy.url });
    const { ca } = await makeCertificates();
    await expect(fetchJsonBy(agents)(url, { ...options(), ca })).rejects.toThrow(/certificate/);
    proxy.places.set('other.test:443', proxy.places.get('far.test:443') ?? 0);
    const other = new URL('https://other.test/');
    await expect(fetchJsonBy(agents)(other, options())).rejects.toThrow(/altnames/);
  });

  test('opens a connection each, or keeps it where it may be kept', async () => {
    const { agents, keptAgents, close } = egressOf({ HTTPS_PROXY: proxy.url });
    for (const used of [agents, agents, keptAgents, keptAgents]) {
      const answer = await fetchTrusting(certificates.ca, undefined, used)(url);
      expect(await answer.json()).toEqual({ far: true });
    }
    expect(proxy.asked).toHaveLength(3);
    close();
  });

  test('goes by CONNECT for http too, by the proxy of HTTP_PROXY', async () => {
    const { agents } = egressOf({ HTTP_PROXY: proxy.url });
    const answer = await fetchTrusting(undefined, undefined, agents)('http://plain.test/');
    expect([await answer.text(), proxy.asked]).toEqual(['plain', ['plain.test:80']]);
  });

  test('does not go through where NO_PROXY names the host', async () => {
    const { agents } = egressOf({ HTTPS_PROXY: proxy.url, NO_PROXY: 'far.test' });
    await expect(fetchJsonBy(agents)(url, options())).rejects.toMatchObject({ syscall: 'getaddrinfo' });
    expect(proxy.asked).toEqual([]);
  });

  test('tells of a proxy that refuses, without its credentials', async () => {
    const { agents } = egressOf({ HTTPS_PROXY: proxy.url.replace('//', `//keyhole:${PASSWORD}@`) });
    proxy.conduct = 407;
    await expect(fetchJsonBy(agents)(url, options())).rejects.toThrow(
      'the proxy answered 407 to a connection to far.test:443',
    );
  });

  test('ends where the proxy hangs, and leaves no connection to it behind', async () => {
    const { agents } = egressOf({ HTTPS_PROXY: proxy.url });
    proxy.conduct = 'silent';
    await expect(fetchJsonBy(agents)(url, options())).rejects.toThrow(
      'the proxy did not open a connection to far.test:443 in time',
    );
    expect(agents?.https.requests).toEqual({});
  });

  test('is an outage of each key service where the proxy refuses, cuts or hangs', async () => {
    const folder = await makeFolder();
    await folder.write('token', 'hvs.token');
    await folder.write('google.json', googleCredentials(certificates.key));
    const keys = [
      { provider: 'aws-kms', key: 'arn:aws:kms:eu-central-1:123456789012:alias/a' },
      { provider: 'gcp-kms', key: 'projects/p/locations/l/keyRings/r/cryptoKeys/k' },
      { provider: 'azure-key-vault', key: 'https://keys.vault.azure.net/keys/k' },
      { provider: 'vault-transit', address: 'https://vault.test', key: 'k', tokenFile: 'token' },
    ].map((wrap) => ({ namespaces: [wrap.provider], wrap }));
    await folder.configure({ ...GOOD, keys, access: { ...GOOD.access, roles: NOBODY } });
    const restore = setEnvironment({
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      GOOGLE_APPLICATION_CREDENTIALS: `${folder.path}/google.json`,
    });
    const outage = async (conduct: ConnectProxy['conduct']): Promise<void> => {
      const failing = await startConnectProxy();
      failing.conduct = conduct;
      const config = await folder.config({ env: { HTTPS_PROXY: failing.url } });
      const { keyring, close } = await openKeyring(config.keys, openEgress(config.proxies));
      const calls = new KeyCalls();
      const asking = keys.map(({ namespaces: [namespace = ''] }) => {
        const { wrap } = keyring.forNamespace(namespace);
        const generate = calls.run('generate', wrap, namespace, namespace, (context) =>
          wrap.generateDataKey(context),
        );
        return expect(generate).rejects.toMatchObject({ code: 'key_unavailable' });
      });
      await Promise.all(asking);
      expect([...new Set(failing.asked)].sort()).toEqual([
        'cloudkms.googleapis.com:443',
        'keys.vault.azure.net:443',
        'kms.eu-central-1.amazonaws.com:443',
        'vault.test:443',
      ]);
      close();
      await failing.stop();
    };
    await Promise.all([outage(403), outage('cut'), outage('silent')]);
    restore();
    await folder.remove();
  }, 20_000);
});

const NOBODY = { source: 'static', people: {} };

function googleCredentials(key: string): string {
  return JSON.stringify({
    type: 'service_account',
    client_email: 'keyhole@test.iam.gserviceaccount.com',
    private_key: key,
    token_uri: 'https://oauth2.googleapis.com/token',
  });
}

function setEnvironment(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  };
}
