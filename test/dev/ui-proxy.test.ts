// The one-origin proxy in front of the Web UI: whose token reaches the codec server, and whose request does not.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '../../src/dev/certificates.js';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity-provider.js';
import { choosePort, listenOnLoopback, type LoopbackListener } from '../../src/dev/loopback.js';
import { PEOPLE } from '../../src/dev/people.js';
import { publicClient } from '../../src/dev/script-sign-in.js';
import { startUiProxy, uiRedirectUri, type UiProxy } from '../../src/dev/ui-proxy.js';
import { HandBrowser } from './browser.js';

const CLIENT = 'web-ui';
const TOKEN_SECONDS = 600;

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly bytes: number;
}

let ca: string;
let provider: IdentityProvider;
let codec: LoopbackListener;
let ui: LoopbackListener;
let proxy: UiProxy;
let clockMs: number;

beforeAll(async () => {
  const certificates = await makeCertificates();
  ca = certificates.ca;
  const port = await choosePort(0, new Set());
  provider = await startIdentityProvider({
    certificates,
    people: PEOPLE,
    clients: [publicClient(CLIENT, uiRedirectUri(port))],
    audience: 'keyhole',
    browserPort: 0,
    tokenSeconds: TOKEN_SECONDS,
  });
  codec = await listenOnLoopback(() => createTlsServer(certificates, tellWhatCame), 0);
  ui = await listenOnLoopback(() => createServer(tellWhatCame), 0);
  clockMs = Date.now();
  proxy = await startUiProxy({
    port,
    ui: { origin: `http://127.0.0.1:${ui.port}` },
    codec: { origin: `https://127.0.0.1:${codec.port}`, ca },
    provider,
    clientId: CLIENT,
    now: () => clockMs,
  });
});

afterAll(async () => {
  await proxy.stop();
  await Promise.all([provider.stop(), codec.close(), ui.close()]);
});

/** Both servers behind the proxy answer with what reached them. */
function tellWhatCame(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => (bytes += chunk.length));
  request.on('end', () => {
    const { method, url, headers } = request;
    response.setHeader('content-type', 'application/json');
    response.setHeader('x-kept', 'yes');
    response.end(JSON.stringify({ method, url, headers, bytes, Codec: { Endpoint: '' }, Version: '2.54.1' }));
  });
}

async function seenIn(answer: Response): Promise<Seen> {
  expect(answer.status).toBe(200);
  return (await answer.json()) as Seen;
}

function decode(browser: HandBrowser, headers: Record<string, string>, body = '{}'): Promise<Response> {
  return browser.request(`${proxy.origin}/_codec/decode?preserveStorageRefs=true`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

const fromUi = () => ({ origin: proxy.origin, 'sec-fetch-site': 'same-origin' });

describe('the codec server behind the Web UI', () => {
  test('gets the token of whoever is signed in, and no cookie', async () => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'rita@example.com');
    browser.cookies.set('someone_elses', 'cookie');
    const seen = await seenIn(await decode(browser, { ...fromUi(), 'x-namespace': 'orders.a1b2c' }));
    const token = seen.headers['authorization']?.replace('Bearer ', '') ?? '';
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as unknown;
    expect(claims).toMatchObject({ email: 'rita@example.com', aud: 'keyhole', iss: provider.issuer });
    expect(seen).toMatchObject({ method: 'POST', url: '/decode?preserveStorageRefs=true', bytes: 2 });
    expect(seen.headers).toMatchObject({ 'x-namespace': 'orders.a1b2c', origin: proxy.origin });
    expect(seen.headers['cookie']).toBeUndefined();
  });

  test('gets no token of somebody who is not signed in', async () => {
    const seen = await seenIn(await decode(new HandBrowser(ca), fromUi()));
    expect(seen.headers['authorization']).toBeUndefined();
  });

  test('gets a caller’s own Authorization header, which hides the cookie', async () => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'alice@example.com');
    const seen = await seenIn(await decode(browser, { ...fromUi(), authorization: 'Bearer of-their-own' }));
    expect(seen.headers['authorization']).toBe('Bearer of-their-own');
  });

  test('gets a large body as it is', async () => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'alice@example.com');
    const seen = await seenIn(await decode(browser, fromUi(), 'x'.repeat(3_000_000)));
    expect(seen.bytes).toBe(3_000_000);
  });

  test.each([
    ['of another origin', { origin: 'http://localhost:1', 'sec-fetch-site': 'same-site' }],
    ['that names no origin', {}],
    ['of the null origin', { origin: 'null' }],
    ['that the browser calls same-site only', { 'sec-fetch-site': 'same-site', own: 'yes' }],
  ])('gets nothing from a page %s with the cookie', async (_, headers: Record<string, string>) => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'alice@example.com');
    const origin = headers['own'] === 'yes' ? { origin: proxy.origin } : {};
    const answer = await decode(browser, { ...headers, ...origin });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('must come from a page of this Web UI');
  });

  test('gets no token after sign-out, nor after the token has ended', async () => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'alice@example.com');
    const stolen = new Map(browser.cookies);
    await browser.submit(`${proxy.origin}/_keyhole/sign-out`, proxy.origin);
    expect(browser.cookies.has('keyhole_session')).toBe(false);
    for (const [name, value] of stolen) browser.cookies.set(name, value);
    expect((await seenIn(await decode(browser, fromUi()))).headers['authorization']).toBeUndefined();

    await browser.signIn(proxy.origin, 'alice@example.com');
    clockMs += TOKEN_SECONDS * 1000;
    expect((await seenIn(await decode(browser, fromUi()))).headers['authorization']).toBeUndefined();
  });
});

describe('the Web UI behind the proxy', () => {
  test('is told where its codec server is, and nothing else is changed', async () => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'alice@example.com');
    const settings = await browser.request(`${proxy.origin}/api/v1/settings?`);
    expect(await settings.json()).toMatchObject({
      Version: '2.54.1',
      Codec: { Endpoint: `${proxy.origin}/_codec`, PassAccessToken: false, IncludeCredentials: true },
    });
    const other = await browser.request(`${proxy.origin}/api/v1/settings-of-others`);
    expect(other.headers.get('x-kept')).toBe('yes');
    expect(await other.json()).toMatchObject({ Codec: { Endpoint: '' }, url: '/api/v1/settings-of-others' });
  });

  test('keeps its own cookies and does not see ours', async () => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'alice@example.com');
    browser.cookies.set('_csrf', 'of-the-ui');
    const seen = await seenIn(await browser.request(`${proxy.origin}/namespaces`));
    expect(seen.headers['cookie']).toContain('_csrf=of-the-ui');
    expect(seen.headers['cookie']).not.toContain('keyhole_');
  });

  test('begins with the sign-in page for whoever is not signed in', async () => {
    const answer = await new HandBrowser(ca).request(proxy.origin);
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/_keyhole']);
  });

  test.each(['evil.example', 'localhost', 'localhost:1', 'localhost.evil.example:8080'])(
    'is not served under the name %s',
    async (host) => {
      const answer = await new HandBrowser(ca).request(`${proxy.origin}/namespaces`, { headers: { host } });
      expect(answer.status).toBe(403);
    },
  );

  test('changes nothing for a page of another origin', async () => {
    const post = (headers: Record<string, string>) =>
      new HandBrowser(ca).request(`${proxy.origin}/api/v1/namespaces/orders.a1b2c/workflows/greeting`, {
        method: 'POST',
        headers,
        body: '{}',
      });
    expect((await post({ origin: 'http://localhost:1' })).status).toBe(403);
    expect((await post({ origin: 'null' })).status).toBe(403);
    expect((await seenIn(await post(fromUi()))).method).toBe('POST');
  });

  test('names, where it tells of a refusal, whom the codec server refused', async () => {
    const browser = new HandBrowser(ca);
    const message = async () => {
      const settings = await browser.request(`${proxy.origin}/api/v1/settings`);
      return ((await settings.json()) as { Codec: { DefaultErrorMessage: string } }).Codec
        .DefaultErrorMessage;
    };
    expect(await message()).toBe('The codec server opened nothing here: nobody is signed in.');
    await browser.signIn(proxy.origin, 'rita@example.com');
    expect(await message()).toBe('The codec server opened nothing here for rita@example.com.');
  });

  test('answers 502 when the server behind it is gone', async () => {
    const port = await choosePort(0, new Set());
    const upstream = { origin: 'http://127.0.0.1:9' };
    const lonely = await startUiProxy({ port, ui: upstream, codec: upstream, provider, clientId: CLIENT });
    const answer = await new HandBrowser(ca).request(`${lonely.origin}/namespaces`);
    expect(answer.status).toBe(502);
    await lonely.stop();
  });
});

describe('signing in', () => {
  test('shows who is signed in and what they will see, without scripts', async () => {
    const browser = new HandBrowser(ca);
    await browser.signIn(proxy.origin, 'rita@example.com');
    const page = await browser.request(`${proxy.origin}/_keyhole`);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const text = await page.text();
    const style = /<style>(.*)<\/style>/s.exec(text)?.[1] ?? '';
    const allowed = `'sha256-${createHash('sha256').update(style).digest('base64')}'`;
    expect(page.headers.get('content-security-policy')).toContain(`style-src ${allowed};`);
    expect(text).toContain('rita@example.com');
    expect(text).toContain('an admin role is missing');
    expect(text).not.toContain('<script');
  });

  test('is refused when the state is not the one this browser began with', async () => {
    const browser = new HandBrowser(ca);
    const callback = await browser.walkToCallback(proxy.origin, 'alice@example.com');
    callback.searchParams.set('state', 'another');
    expect((await browser.request(callback)).status).toBe(400);
    expect(browser.cookies.has('keyhole_session')).toBe(false);
  });

  test('is refused in a browser that did not begin it, and a second time in the one that did', async () => {
    const browser = new HandBrowser(ca);
    const callback = await browser.walkToCallback(proxy.origin, 'alice@example.com');
    expect((await new HandBrowser(ca).request(callback)).status).toBe(400);
    expect((await browser.request(callback)).status).toBe(303);
    expect((await browser.request(callback)).status).toBe(400);
  });

  test('is not begun or ended by another page', async () => {
    for (const form of ['sign-in', 'sign-out']) {
      const answer = await new HandBrowser(ca).submit(
        `${proxy.origin}/_keyhole/${form}`,
        'http://localhost:1',
      );
      expect(answer.status).toBe(403);
    }
  });
});
