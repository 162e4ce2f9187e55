// The one origin of Web UI and codec server in dev mode: what passes, what is changed, and whose request gets nowhere.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { startDevCodecServer, type DevCodecServer } from '../../../src/dev/codec-server.js';
import { startIdentityProvider, type IdentityProvider } from '../../../src/dev/identity/identity-provider.js';
import { choosePort, listenOnLoopback, type LoopbackListener } from '../../../src/dev/loopback.js';
import { ORDERS, PEOPLE, ROLES } from '../../../src/dev/people.js';
import { codecUrl, startUiProxy, type UiProxy } from '../../../src/dev/temporal/ui-proxy.js';
import { keepStream, plantSecret } from '../../streams.js';
import { HandBrowser } from '../browser.js';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly bytes: number;
}

const ISSUER = 'https://localhost:1';
let certificates: Certificates;
let codec: LoopbackListener;
let ui: LoopbackListener;
let proxy: UiProxy;
let browser: HandBrowser;

beforeAll(async () => {
  certificates = await makeCertificates();
  codec = await listenOnLoopback(() => createTlsServer(certificates, tellWhatCame), 0);
  ui = await listenOnLoopback(() => createServer(tellWhatCame), 0);
  proxy = await startUiProxy({
    port: await choosePort(0, new Set()),
    ui: { origin: `http://127.0.0.1:${ui.port}` },
    codec: { origin: `https://127.0.0.1:${codec.port}`, ca: certificates.ca },
    provider: { issuer: ISSUER, browserOrigin: 'http://localhost:2', ca: certificates.ca },
  });
  browser = new HandBrowser(certificates.ca);
});
afterAll(async () => {
  await proxy.stop();
  await Promise.all([codec.close(), ui.close()]);
});

/** Both servers behind the proxy answer with what reached them. */
function tellWhatCame(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => (bytes += chunk.length));
  request.on('end', () => {
    const { method, url, headers } = request;
    response.setHeader('content-type', 'application/json');
    response.setHeader('x-kept', 'yes');
    const { location } = headers; // none of a browser's
    if (location !== undefined) response.setHeader('location', location);
    response.end(JSON.stringify({ method, url, headers, bytes, Codec: { Endpoint: '' }, Version: '2.54.1' }));
  });
}

async function seenIn(answer: Response): Promise<Seen> {
  expect(answer.status).toBe(200);
  return (await answer.json()) as Seen;
}

describe('the codec server behind the Web UI', () => {
  test('gets a request as it came: body, origin, cookies and proof of its caller', async () => {
    const headers = {
      'content-type': 'application/json',
      'x-namespace': ORDERS,
      authorization: 'Bearer of-their-own',
      cookie: 'a=b; keyhole-session=c',
      origin: 'http://localhost:1',
      'sec-fetch-site': 'same-site',
    };
    const body = 'x'.repeat(3_000_000);
    const answer = await browser.request(`${proxy.origin}/_codec/decode?preserveStorageRefs=true`, {
      method: 'POST',
      headers,
      body,
    });
    const seen = await seenIn(answer);
    expect(seen).toMatchObject({
      method: 'POST',
      url: '/decode?preserveStorageRefs=true',
      bytes: body.length,
    });
    expect(seen.headers).toMatchObject(headers);
  });

  test('sends people to the provider’s address that their browser trusts', async () => {
    const sentTo = async (location: string) => {
      const answer = await browser.request(`${proxy.origin}/_codec/signin/start`, { headers: { location } });
      return answer.headers.get('location');
    };
    expect(await sentTo(`${ISSUER}/auth?state=${ISSUER}/`)).toBe(`http://localhost:2/auth?state=${ISSUER}/`);
    expect(await sentTo(`${ISSUER}0/auth`)).toBe(`${ISSUER}0/auth`);
    expect(await sentTo(`${proxy.origin}/_codec/signin`)).toBe(`${proxy.origin}/_codec/signin`);
  });
});

describe('the Web UI behind the proxy', () => {
  test('is told where its codec server is, and nothing else is changed', async () => {
    const settings = await browser.request(`${proxy.origin}/api/v1/settings?`);
    expect(await settings.json()).toMatchObject({
      Version: '2.54.1',
      Codec: {
        Endpoint: `${proxy.origin}/_codec`,
        PassAccessToken: false,
        IncludeCredentials: true,
        DefaultErrorLink: `${proxy.origin}/_codec/why`,
      },
    });
    const other = await browser.request(`${proxy.origin}/api/v1/settings-of-others`);
    expect(other.headers.get('x-kept')).toBe('yes');
    expect(await other.json()).toMatchObject({ Codec: { Endpoint: '' }, url: '/api/v1/settings-of-others' });
  });

  test.each(['evil.example', 'localhost', 'localhost:1', 'localhost.evil.example:8080'])(
    'is not served under the name %s, nor is the codec server',
    async (host) => {
      for (const path of ['/namespaces', '/_codec/signin'])
        expect((await browser.request(proxy.origin + path, { headers: { host } })).status).toBe(403);
    },
  );

  test('is looked at under one name, since cookies belong to one', async () => {
    const address = proxy.origin.replace('localhost', '127.0.0.1');
    const answer = await browser.request(`${address}/namespaces?a=b`);
    expect([answer.status, answer.headers.get('location')]).toEqual([307, `${proxy.origin}/namespaces?a=b`]);
  });

  test('changes nothing for a page of another origin', async () => {
    const post = (headers: Record<string, string>) =>
      browser.request(`${proxy.origin}/api/v1/namespaces/orders.a1b2c/workflows/greeting`, {
        method: 'POST',
        headers,
        body: '{}',
      });
    expect((await post({ origin: 'http://localhost:1' })).status).toBe(403);
    expect((await post({ origin: 'null' })).status).toBe(403);
    const own = await post({ origin: proxy.origin, 'sec-fetch-site': 'same-origin' });
    expect((await seenIn(own)).method).toBe('POST');
  });

  test('answers 502 when the server behind it is gone', async () => {
    const port = await choosePort(0, new Set());
    const upstream = { origin: 'http://127.0.0.1:9' };
    const provider = { issuer: ISSUER, browserOrigin: ISSUER, ca: certificates.ca };
    const lonely = await startUiProxy({ port, ui: upstream, codec: upstream, provider });
    expect((await browser.request(`${lonely.origin}/namespaces`)).status).toBe(502);
    await lonely.stop();
  });
});

describe('dev mode’s codec server behind the proxy', () => {
  let directory: string;
  let provider: IdentityProvider;
  let server: DevCodecServer;
  let front: UiProxy;
  let publicUrl: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyhole-ui-proxy-'));
    const port = await choosePort(0, new Set());
    publicUrl = codecUrl(port);
    const client = { client_id: 'keyhole', client_secret: plantSecret('client-secret-of-dev-4b81c0') };
    provider = await startIdentityProvider({
      certificates,
      people: PEOPLE,
      clients: [{ ...client, redirect_uris: [`${publicUrl}/signin/callback`] }],
      audience: 'keyhole-dev',
      browserPort: 0,
    });
    const made = { directory, port: 0, certificates, provider, client, publicUrl, people: ROLES };
    server = await startDevCodecServer(made);
    front = await startUiProxy({
      port,
      ui: { origin: `http://127.0.0.1:${ui.port}` },
      codec: { origin: server.origin, ca: certificates.ca },
      provider,
    });
  });
  afterAll(async () => {
    await front.stop();
    await server.stop();
    await provider.stop();
    keepStream('dev-log', await readFile(join(directory, 'codec-server.log')));
    keepStream('dev-record', await readFile(server.auditFile));
    await rm(directory, { recursive: true });
  });

  /** The codec server's sentence, or status, to a page of `origin` that asks for something sealed. */
  async function decode(who: HandBrowser, origin: string, site = 'same-origin'): Promise<unknown> {
    const metadata = { encoding: Buffer.from('json/plain').toString('base64') };
    const answer = await who.request(`${publicUrl}/decode`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-namespace': ORDERS, origin, 'sec-fetch-site': site },
      body: JSON.stringify({ payloads: [{ metadata, data: 'Mg==' }] }),
    });
    const { payloads, error } = (await answer.json()) as { payloads?: unknown[]; error?: { code: string } };
    return error?.code ?? payloads?.length;
  }

  test('signs people in over plain http, with a cookie that other servers of this machine do not get', async () => {
    const alice = new HandBrowser(certificates.ca);
    const answer = await alice.signIn(publicUrl, 'alice@example.com');
    expect([answer.status, answer.headers.get('location')]).toEqual([303, `${publicUrl}/signin`]);
    const line = answer.headers.getSetCookie().find((one) => one.startsWith('keyhole-session='));
    expect(line).toMatch(/; Path=\/_codec; HttpOnly; SameSite=Lax$/);
    expect(await (await alice.request(`${publicUrl}/signin`)).text()).toContain('alice@example.com');
    expect(await decode(alice, front.origin)).toBe(1);
  });

  test('asks each time who it is, so that one can become somebody else', async () => {
    const browser = new HandBrowser(certificates.ca);
    for (const email of ['alice@example.com', 'rita@example.com']) {
      await browser.signIn(publicUrl, email);
      expect(await (await browser.request(`${publicUrl}/signin`)).text()).toContain(email);
    }
  });

  test('gives nothing to a page of another origin, although the cookie comes along', async () => {
    const alice = new HandBrowser(certificates.ca);
    await alice.signIn(publicUrl, 'alice@example.com');
    expect(await decode(alice, 'http://localhost:1', 'same-site')).toBe('origin_refused');
    expect(await decode(alice, front.origin, 'same-site')).toBe('origin_refused');
    expect(await decode(alice, 'null', 'cross-site')).toBe('origin_refused');
  });
});
