// Where a Web UI may be so that a browser sends the codec server's cookie along: what docs/sign-in.md says, in Chromium.
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificates } from '../../src/dev/certificates.js';
import { listenOnLoopback, type LoopbackListener } from '../../src/dev/loopback.js';
import { describeWithParts } from '../parts/available.js';
import { launchChromium } from '../parts/chromium.js';
import { freePort } from '../parts/spawn-part.js';
import { startInProcess, type InProcess } from './in-process.js';
import { startSignInProvider, type SignInProvider } from './sign-in-provider.js';

const ORDERS = 'orders.a1b2c';
const ALICE = { email: 'alice@example.com', name: 'Alice' };
/** `example.localhost` is a registrable domain as good as any, and all below `localhost` is this machine. */
const [CODEC, OTHER_CODEC] = ['codec.example.localhost', 'strict.example.localhost'];
const HOSTS = ['localhost', CODEC, OTHER_CODEC, 'temporal.example.localhost', 'temporal.elsewhere.localhost'];

describeWithParts(['chromium'], 'a page that asks the codec server with credentials', () => {
  let provider: SignInProvider;
  let pages: Readonly<Record<'https' | 'http', LoopbackListener>>;
  let servers: readonly InProcess[];
  let browser: Browser;
  let context: BrowserContext;
  /** Lists pages of its own site only, so its cookie is `Lax`; the other lists all, and has `None`. */
  let strict: string;
  let open: string;

  beforeAll(async () => {
    const certificates = await makeCertificates({ dns: HOSTS });
    const { cert, key, ca } = certificates;
    const blank: RequestListener = (_request, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>UI</title>');
    };
    const [https, http] = await Promise.all([
      listenOnLoopback(() => createTlsServer({ cert, key }, blank), 0),
      listenOnLoopback(() => createServer(blank), 0),
    ]);
    pages = { https, http };
    const [one, other] = [await freePort(), await freePort()];
    [strict, open] = [`https://${OTHER_CODEC}:${one}`, `https://${CODEC}:${other}`];
    provider = await startSignInProvider({ certificates, people: [ALICE], codecs: [strict, open] });
    const files = { 'cert.pem': cert, 'key.pem': key, 'ca.pem': ca, ...provider.files };
    const start = (codec: string, origins: readonly string[]) =>
      startInProcess({ namespaces: [ORDERS], files, configuration: configuration(codec, origins) });
    servers = await Promise.all([
      start(strict, [page('https', 'temporal.example.localhost')]),
      start(open, [
        page('https', 'temporal.example.localhost'),
        page('https', 'temporal.elsewhere.localhost'),
        page('http', 'temporal.example.localhost'),
      ]),
    ]);
    browser = await launchChromium({ trust: [cert] });
    context = await browser.newContext();
    for (const codec of [strict, open]) await signIn(codec);
  });
  afterAll(async () => {
    await browser.close();
    for (const server of servers) await server.stop();
    await provider.stop();
    await Promise.all(Object.values(pages).map((listener) => listener.close()));
  });

  function page(scheme: 'https' | 'http', host: string): string {
    return `${scheme}://${host}:${pages[scheme].port}`;
  }

  function configuration(codec: string, origins: readonly string[]): object {
    const { issuer } = provider;
    return {
      listen: `127.0.0.1:${new URL(codec).port}`,
      publicUrl: codec,
      tls: { cert: 'cert.pem', key: 'key.pem' },
      cors: { origins },
      access: {
        issuers: [
          { issuer, audience: 'keyhole', ca: 'ca.pem', emailDomains: ['example.com'], accept: ['session'] },
        ],
        signIn: provider.signIn(),
        roles: { source: 'static', people: { [ALICE.email]: [`namespace:admin@${ORDERS}`] } },
      },
    };
  }

  async function signIn(codec: string): Promise<void> {
    const tab = await context.newPage();
    await tab.goto(`${codec}/signin/start`);
    await tab.click(`button[value="${ALICE.email}"]`);
    await tab.getByRole('heading', { name: 'You are signed in' }).waitFor();
    await tab.close();
  }

  /** The status that a page at `address` sees: 200 where the cookie came along, 401 where it did not. */
  async function statusAt(address: string, codec: string): Promise<unknown> {
    const tab = await context.newPage();
    await tab.goto(address);
    const asking = JSON.stringify({
      method: 'POST',
      credentials: 'include',
      headers: { 'content-type': 'application/json', 'x-namespace': ORDERS },
      body: '{}',
    });
    const status = await tab.evaluate(
      `fetch('${codec}/decode', ${asking}).then(({ status }) => status, String)`,
    );
    await tab.close();
    return status;
  }

  test('on a host of its own under the domain that both share brings the cookie', async () => {
    const address = page('https', 'temporal.example.localhost');
    expect(await statusAt(address, strict)).toBe(200);
    expect(await statusAt(address, open)).toBe(200);
  });

  test.each([
    ['of another site', 'https', 'temporal.elsewhere.localhost'],
    ['over http', 'http', 'temporal.example.localhost'],
  ] as const)(
    '%s does not, although it is listed and the cookie is SameSite=None',
    async (_, scheme, host) => {
      const [cookie] = (await context.cookies(open)).filter(({ name }) => name.includes('keyhole-session'));
      expect(cookie).toMatchObject({ sameSite: 'None', secure: true });
      expect(await statusAt(page(scheme, host), open)).toBe(401);
    },
  );
});
