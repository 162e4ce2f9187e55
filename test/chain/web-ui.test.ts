// A workflow as people see it: in Temporal's Web UI signed in, through the CLI, and from a page of an allowed origin.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { WorkflowHandle } from '@temporalio/client';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity/identity-provider.js';
import { describeWithParts } from '../parts/available.js';
import { launchChromium } from '../parts/chromium.js';
import { freePort, type Stoppable } from '../parts/spawn-part.js';
import { startTemporalServer, type CliAnswer, type TemporalServer } from '../parts/temporal-server.js';
import { callbackUrlOf, startUiServer, type UiServer } from '../parts/ui-server.js';
import { bodyOf } from '../server/running-server.js';
import { keepStream } from '../streams.js';
import { openSite, planted, rawHistory, type Site } from '../temporal/sealed-worker.js';
import * as workflows from '../temporal/workflows.js';
import { accessBy } from './issuer-of-our-own.js';
import type { Keyhole } from './keyhole-process.js';
import { BILLING, configure, layGround, ORDERS, sealedBy, textsOf, type Ground } from './system.js';
import { planted as plantedToken } from './token-issuer.js';

const ALICE = { email: 'alice@example.com', name: 'Alice, an admin' };
const RITA = { email: 'rita@example.com', name: 'Rita, a reader' };
const CLIENT = { client_id: 'web-ui', client_secret: randomBytes(16).toString('hex') };
const ARTIFACTS = new URL('../../artifacts/', import.meta.url);

describeWithParts(['temporal', 'moto', 'ui-server', 'chromium'], 'a sealed workflow', () => {
  const stops: Stoppable[] = [];
  const text = planted('workflow');
  let ground: Ground;
  let provider: IdentityProvider;
  let temporal: TemporalServer;
  let keyhole: Keyhole;
  let ui: UiServer;
  let pages: Pages;
  let site: Site;
  let handle: WorkflowHandle;
  let browser: Browser;

  function keep<T extends Stoppable>(part: T): T {
    stops.push(part);
    return part;
  }

  const configuration = (denied: string): object => ({
    access: accessBy(Number(new URL(provider.issuer).port), ground),
    cors: { origins: [ui.url, pages.origin] },
    denied,
  });

  beforeAll(async () => {
    await mkdir(ARTIFACTS, { recursive: true });
    ground = keep(
      await layGround([
        { email: ALICE.email, namespaces: { [ORDERS]: 'admin' } },
        { email: RITA.email, namespaces: { [ORDERS]: 'read' } },
      ]),
    );
    const { certificates, caFile } = ground;
    const [uiPort, codecPort] = [await freePort(), await freePort()];
    const redirect = callbackUrlOf(`https://localhost:${uiPort}`);
    const clients = [{ ...CLIENT, redirect_uris: [redirect] }];
    const people = [ALICE, RITA];
    provider = keep(await startIdentityProvider({ certificates, people, clients, audience: 'keyhole' }));
    temporal = keep(await startTemporalServer({ namespaces: [ORDERS, BILLING] }));
    pages = keep(await startPages(ground));
    ui = keep(
      await startUiServer({
        temporalAddress: temporal.address,
        port: uiPort,
        tls: { certFile: ground.env['SSL_PEM'] ?? '', keyFile: ground.env['SSL_KEY'] ?? '' },
        auth: {
          providerUrl: provider.issuer,
          clientId: CLIENT.client_id,
          clientSecret: CLIENT.client_secret,
          caFile,
        },
        codec: {
          endpoint: `https://localhost:${codecPort}`,
          passAccessToken: true,
          includeCredentials: true,
        },
      }),
    );
    const env = { KEYHOLE_LISTEN: `127.0.0.1:${codecPort}` };
    keyhole = await ground.serve({ configuration: configuration('error'), env });
    site = await openSite(temporal.address, ORDERS, ground.codec());
    keep({ stop: () => site.close() });
    handle = await site.withWorker(async () => {
      const options = { taskQueue: site.taskQueue, workflowId: 'sealed-workflow', args: [text] as [string] };
      const started = await site.client.workflow.start(workflows.echo, options);
      await started.result();
      return started;
    });
    browser = await launchChromium({ trust: [certificates.cert] });
    keep({ stop: () => browser.close() });
  });
  afterAll(async () => {
    for (const part of stops.reverse()) await part.stop();
  });

  async function tokenOf({ email }: { readonly email: string }): Promise<string> {
    return plantedToken(await provider.tokenFor(email));
  }

  test('is ciphertext in the server’s raw history', async () => {
    const { bytes, payloads } = await rawHistory(site, handle);
    expect(bytes.includes(text)).toBe(false);
    expect(payloads.map(({ metadata }) => metadata['encoding'])).toEqual([
      'binary/encrypted',
      'binary/encrypted',
    ]);
  });

  describe('in the Temporal CLI', () => {
    const show = async (...more: string[]): Promise<CliAnswer> => {
      const args = ['workflow', 'show', '-n', ORDERS, '-w', handle.workflowId, ...more];
      return temporal.cli(args, { SSL_CERT_FILE: ground.caFile });
    };

    test('shows only ciphertext', async () => {
      const { stdout } = await show();
      keepStream('chain-cli', stdout);
      expect(stdout).toMatch(/ResultEncoding\s+binary\/encrypted/);
      keepStream('chain-cli', (await show('--output', 'json')).stdout);
    });

    test('shows its result to an admin, through the codec server', async () => {
      const auth = ['--codec-endpoint', keyhole.url, '--codec-auth', `Bearer ${await tokenOf(ALICE)}`];
      const { stdout, code } = await show(...auth);
      expect(code).toBe(0);
      expect(stdout).toContain(text);
    });

    test('shows nothing to a reader who asks the codec server', async () => {
      const auth = ['--codec-endpoint', keyhole.url, '--codec-auth', `Bearer ${await tokenOf(RITA)}`];
      const { stdout, code } = await show(...auth);
      keepStream('chain-cli', stdout);
      expect(code).not.toBe(0);
    });
  });

  describe('for a page of an allowed origin', () => {
    interface Seen {
      readonly status: number;
      readonly text: string;
      readonly requestId: string | null;
    }

    /** As the Web UI asks, in the browser: what a page cannot read throws there. */
    async function askFrom(origin: string, token: string): Promise<Seen | string> {
      const page = await browser.newPage();
      try {
        await page.goto(origin);
        const body = bodyOf(...(await sealedBy(ground.codec(), ORDERS, text)));
        const asked = {
          url: `${keyhole.url}/decode?preserveStorageRefs=true`,
          token,
          body,
          namespace: ORDERS,
        };
        return await page.evaluate(askAsTheUiDoes, asked);
      } finally {
        await page.close();
      }
    }

    test('a 200 can be read', async () => {
      const seen = await askFrom(pages.origin, await tokenOf(ALICE));
      expect(seen).toMatchObject({ status: 200, requestId: expect.any(String) as string });
      const [data = ''] = (JSON.parse((seen as Seen).text) as { payloads: { data: string }[] }).payloads.map(
        (payload) => payload.data,
      );
      expect(JSON.parse(Buffer.from(data, 'base64').toString())).toBe(text);
    });

    test('a 403 can be read', async () => {
      const seen = await askFrom(pages.origin, await tokenOf(RITA));
      expect(seen).toMatchObject({ status: 403, text: expect.stringContaining('role_missing') as string });
    });

    test('of another origin nothing can', async () => {
      expect(await askFrom(pages.otherOrigin, await tokenOf(ALICE))).toBe('TypeError: Failed to fetch');
    });
  });

  describe('in the Web UI', () => {
    async function signIn(person: { readonly email: string }): Promise<BrowserContext> {
      const context = await browser.newContext({ viewport: { width: 2200, height: 800 } });
      const page = await context.newPage();
      await page.goto(`${ui.url}/auth/sso`);
      await page.click(`button[value="${person.email}"]`);
      await page.waitForURL(`${ui.url}/**`);
      const consumed = async (): Promise<boolean> => {
        const cookies = await context.cookies(ui.url);
        return !cookies.some(({ name }) => name.startsWith('user'));
      };
      await expect.poll(consumed, { timeout: 10_000 }).toBe(true);
      await page.close();
      return context;
    }

    /** Opens the workflow's page and waits for the codec server's answers to it. */
    async function open(context: BrowserContext, status: number): Promise<Page> {
      const page = await context.newPage();
      const decoded = page.waitForResponse(
        (answer) => answer.url().startsWith(keyhole.url) && answer.request().method() === 'POST',
      );
      await page.goto(`${ui.url}/namespaces/${ORDERS}/workflows/${handle.workflowId}`);
      expect((await decoded).status()).toBe(status);
      return page;
    }

    async function picture(page: Page, name: string): Promise<void> {
      await page.screenshot({ path: new URL(`${name}.png`, ARTIFACTS).pathname });
    }

    test('shows an admin its input in clear', async () => {
      const context = await signIn(ALICE);
      const page = await open(context, 200);
      await page.getByText(text).first().waitFor();
      await picture(page, 'ui-signed-in-admin');
      await context.close();
    });

    test('shows a reader ciphertext', async () => {
      const context = await signIn(RITA);
      const page = await open(context, 403);
      const { events } = await rawHistory(site, handle);
      const [input] = events[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
      const ciphertext = Buffer.from(input?.data ?? []).toString('base64');
      await page.getByText(ciphertext).first().waitFor();
      await page.getByText('Codec Server could not connect').filter({ visible: true }).first().waitFor();
      expect(await page.content()).not.toContain(text);
      await picture(page, 'ui-signed-in-reader');
      await context.close();
    });

    test('shows a reader what is missing, where denied is "notice"', async () => {
      await configure(keyhole.directory, configuration('notice'));
      await keyhole.reload();
      const context = await signIn(RITA);
      const page = await open(context, 200);
      const notice = page.getByText(`to decode in ${ORDERS} you need one of`).first();
      await notice.waitFor();
      expect(await notice.textContent()).toContain('[keyhole notice]');
      expect(await page.content()).not.toContain(text);
      await picture(page, 'ui-signed-in-notice');
      await context.close();
    });
  });

  describe('where denied is "notice" or "encrypted"', () => {
    async function asked(person: { readonly email: string } | undefined, origin?: string) {
      const sealed = await sealedBy(ground.codec(), ORDERS, text);
      const token = person === undefined ? {} : { token: await tokenOf(person) };
      const headers = origin === undefined ? {} : { origin };
      const answer = await keyhole.ask('/decode', {
        ...token,
        namespace: ORDERS,
        headers,
        body: bodyOf(...sealed),
      });
      return { answer, untouched: answer.data[0]?.equals(Buffer.from(sealed[0]?.data ?? [])) ?? false };
    }

    test('the notice is only for pages: curl gets the 403', async () => {
      await configure(keyhole.directory, configuration('notice'));
      await keyhole.reload();
      const { answer } = await asked(RITA);
      expect([answer.status, answer.error.code]).toEqual([403, 'role_missing']);
    });

    test('a page that nobody is signed in on reads that one must sign in', async () => {
      const { answer } = await asked(undefined, ui.url);
      expect(answer.status).toBe(200);
      expect(textsOf(answer)).toEqual([`[keyhole notice] you are not signed in: sign in at ${ui.url}`]);
    });

    test('"encrypted": a reader gets the payloads untouched, and a stranger a 401', async () => {
      await configure(keyhole.directory, configuration('encrypted'));
      await keyhole.reload();
      const { answer, untouched } = await asked(RITA);
      expect([answer.status, untouched]).toEqual([200, true]);
      expect((await asked(undefined)).answer.status).toBe(401);
    });
  });
});

interface Asked {
  readonly url: string;
  readonly token: string;
  readonly body: string;
  readonly namespace: string;
}

/** Runs in the page. */
async function askAsTheUiDoes({ url, token, body, namespace }: Asked) {
  const headers = {
    'Content-Type': 'application/json',
    'X-Namespace': namespace,
    Authorization: `Bearer ${token}`,
    'Authorization-Extras': 'an id token',
  };
  try {
    const answer = await fetch(url, { method: 'POST', credentials: 'include', headers, body });
    const requestId = answer.headers.get('X-Request-Id');
    return { status: answer.status, text: await answer.text(), requestId };
  } catch (error) {
    return String(error);
  }
}

interface Pages extends Stoppable {
  readonly origin: string;
  readonly otherOrigin: string;
}

/** Two empty pages, each on an origin of its own. */
async function startPages({ certificates: { cert, key } }: Ground): Promise<Pages> {
  const servers = [0, 1].map(() =>
    createServer({ cert, key }, (_request, response) => {
      response.setHeader('content-type', 'text/html').end('<title>a page</title>');
    }).listen(0, '127.0.0.1'),
  );
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const [origin = '', otherOrigin = ''] = servers.map(
    (server) => `https://localhost:${(server.address() as AddressInfo).port}`,
  );
  return {
    origin,
    otherOrigin,
    stop: async () => {
      for (const server of servers) {
        server.closeAllConnections();
        await once(server.close(), 'close');
      }
    },
  };
}
