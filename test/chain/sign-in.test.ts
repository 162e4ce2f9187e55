// A workflow in Temporal's Web UI by the codec server's own session: the UI passes no access token.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { Browser, BrowserContext, Page, Request } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../cli/command.js';
import { describeWithParts } from '../parts/available.js';
import { launchChromium } from '../parts/chromium.js';
import { freePort, type Stoppable } from '../parts/spawn-part.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { startUiServer, type UiServer } from '../parts/ui-server.js';
import { plantSecret } from '../streams.js';
import { openSite, planted, type Site } from '../temporal/sealed-worker.js';
import * as workflows from '../temporal/workflows.js';
import type { Keyhole } from './keyhole-process.js';
import { startSignInProvider, type SignInProvider } from './sign-in-provider.js';
import { configure, layGround, ORDERS, type Ground } from './system.js';

const ALICE = { email: 'alice@example.com', name: 'Alice, an admin' };
const RITA = { email: 'rita@example.com', name: 'Rita, a reader' };
const ARTIFACTS = new URL('../../artifacts/', import.meta.url);
const BAR = 'The codec server opened nothing for you here.';

describeWithParts(
  ['temporal', 'moto', 'ui-server', 'chromium'],
  'a sealed workflow in the Web UI, by a session',
  () => {
    const stops: Stoppable[] = [];
    const text = planted('workflow-by-session');
    let ground: Ground;
    let provider: SignInProvider;
    let keyhole: Keyhole;
    let codec: string;
    let ui: UiServer;
    let site: Site;
    let handle: WorkflowHandle;
    let browser: Browser;

    function keep<T extends Stoppable>(part: T): T {
      stops.push(part);
      return part;
    }

    const configuration = (denied: string): object => ({
      publicUrl: codec,
      cors: { origins: [ui.url] },
      denied,
      access: {
        account: 'a1b2c',
        issuers: [
          {
            issuer: provider.issuer,
            audience: 'keyhole',
            ca: ground.caFile,
            claims: { emailVerified: 'email_verified' },
            emailDomains: ['example.com'],
            accept: ['session'],
          },
        ],
        signIn: provider.signIn(ground.directory),
        roles: { ca: ground.caFile },
      },
    });

    beforeAll(async () => {
      await mkdir(ARTIFACTS, { recursive: true });
      ground = keep(
        await layGround([
          { email: ALICE.email, namespaces: { [ORDERS]: 'admin' } },
          { email: RITA.email, namespaces: { [ORDERS]: 'read' } },
        ]),
      );
      const { certificates, directory, env } = ground;
      const codecPort = await freePort();
      codec = `https://localhost:${codecPort}`;
      const people = [ALICE, RITA];
      provider = keep(await startSignInProvider({ certificates, people, codecs: [codec] }));
      for (const [name, secret] of Object.entries(provider.files))
        await writeFile(join(directory, name), secret, { mode: 0o600 });
      const temporal: TemporalServer = keep(await startTemporalServer({ namespaces: [ORDERS] }));
      ui = keep(
        await startUiServer({
          temporalAddress: temporal.address,
          tls: { certFile: env['SSL_PEM'] ?? '', keyFile: env['SSL_KEY'] ?? '' },
          codec: {
            endpoint: codec,
            passAccessToken: false,
            includeCredentials: true,
            defaultErrorMessage: BAR,
            defaultErrorLink: `${codec}/why?namespace=${ORDERS}`,
          },
        }),
      );
      const listen = { KEYHOLE_LISTEN: `127.0.0.1:${codecPort}` };
      keyhole = await ground.serve({ configuration: configuration('error'), env: listen });
      site = await openSite(temporal.address, ORDERS, ground.codec());
      keep({ stop: () => site.close() });
      handle = await site.withWorker(async () => {
        const options = { taskQueue: site.taskQueue, workflowId: 'by-session', args: [text] as [string] };
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

    /** A browser of their own, signed in through the pages as a person would. */
    async function signIn(person: { readonly email: string }): Promise<BrowserContext> {
      const context = await newContext();
      const page = await context.newPage();
      await page.goto(`${codec}/signin`);
      await page.getByRole('link', { name: 'Sign in' }).click();
      await page.click(`button[value="${person.email}"]`);
      await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
      expect(await page.getByText(person.email).count()).toBe(1);
      await picture(page, `signin-${person.email.split('@', 1)[0] ?? ''}`);
      await page.close();
      return context;
    }

    function newContext(): Promise<BrowserContext> {
      return browser.newContext({ viewport: { width: 2200, height: 800 } });
    }

    /** Opens the workflow's page, in a tab of its own or anew, and waits for the codec server's answer to it. */
    async function open(
      context: BrowserContext,
      status: number,
      tab?: Page,
    ): Promise<{ page: Page; asked: Request }> {
      const page = tab ?? (await context.newPage());
      const decoded = page.waitForResponse(
        (answer) => answer.url().startsWith(codec) && answer.request().method() === 'POST',
      );
      await page.goto(`${ui.url}/namespaces/${ORDERS}/workflows/${handle.workflowId}`);
      const answer = await decoded;
      expect(answer.status()).toBe(status);
      return { page, asked: answer.request() };
    }

    async function picture(page: Page, name: string): Promise<void> {
      await page.screenshot({ path: new URL(`${name}.png`, ARTIFACTS).pathname });
    }

    test('shows an admin who signed in at the codec server its input in clear', async () => {
      const context = await signIn(ALICE);
      const { page, asked } = await open(context, 200);
      await page.getByText(text).first().waitFor();
      const headers = await asked.allHeaders();
      expect(headers['authorization']).toBeUndefined();
      expect(headers['cookie']).toContain('__Host-keyhole-session=');
      await picture(page, 'ui-cookie-admin');
      const [cookie] = (await context.cookies(codec)).filter(({ name }) => name.includes('keyhole-session'));
      expect(cookie).toMatchObject({ secure: true, httpOnly: true, sameSite: 'Lax', path: '/' });
      expect(await page.evaluate('document.cookie')).not.toContain('keyhole');
      await context.close();
    });

    test('shows a reader ciphertext and a bar, whose link tells which role is missing', async () => {
      const context = await signIn(RITA);
      const { page } = await open(context, 403);
      const bar = page.getByText(BAR).filter({ visible: true }).first();
      await bar.waitFor();
      expect(await page.content()).not.toContain(text);
      await picture(page, 'ui-cookie-reader');
      const link = page.locator(`a[href^="${codec}/why"]`).filter({ visible: true }).first();
      const opened = context.waitForEvent('page', { timeout: 5_000 }).catch(() => page);
      await link.click();
      const why = await opened;
      await why.getByText('You may not see payloads in the clear').waitFor();
      expect(await why.locator('main').innerText()).toContain(`to decode in ${ORDERS} you need one of`);
      expect(await why.locator('main').innerText()).toContain(RITA.email);
      await picture(why, 'why');
      await context.close();
    });

    test('shows nothing any more to somebody who signed out', async () => {
      const context = await signIn(ALICE);
      const page = await context.newPage();
      await page.goto(`${codec}/signin`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('Sign in to see payloads').waitFor();
      const { page: refused } = await open(context, 401);
      await refused.getByText(BAR).filter({ visible: true }).first().waitFor();
      expect(await refused.content()).not.toContain(text);
      await context.close();
    });

    test('does not let a token in that the same issuer gave', async () => {
      const token = plantSecret(await provider.tokenFor(ALICE.email));
      const answer = await keyhole.ask('/decode', { token, namespace: ORDERS });
      expect([answer.status, answer.error.code]).toEqual([401, 'token_invalid']);
    });

    test('says in place of each payload where to sign in, where denied is "notice"', async () => {
      await configure(keyhole.directory, configuration('notice'));
      await keyhole.reload();
      const context = await newContext();
      const { page } = await open(context, 200);
      await page.getByText(`you are not signed in: sign in at ${codec}/signin`).first().waitFor();
      await picture(page, 'ui-cookie-notice');
      await context.close();
    });

    test('says what is missing, and shows nothing any more, to somebody whose role is taken away in mid-session', async () => {
      await configure(keyhole.directory, configuration('notice'));
      await keyhole.reload();
      const context = await signIn(ALICE);
      const { page } = await open(context, 200);
      await page.getByText(text).first().waitFor();
      // the page asks for more than what is seen first: all of it is answered before the role is taken
      await page.waitForLoadState('networkidle');
      const before = (await keyhole.records()).length;
      ground.cloud.behaviour.users = [{ email: ALICE.email, namespaces: { [ORDERS]: 'read' } }];
      await keyhole.reload();
      await open(context, 200, page);
      const notice = page.getByText(`to decode in ${ORDERS} you need one of`).first();
      await notice.waitFor();
      expect(await notice.textContent()).toContain('[keyhole notice]');
      expect(await page.content()).not.toContain(text);
      await picture(page, 'ui-cookie-revoked');
      await context.close();

      const told = (await keyhole.records()).map(({ who, outcome }) => `${who} ${outcome}`);
      expect(told.slice(0, before)).toContain(`${ALICE.email} ok`);
      expect(new Set(told.slice(before))).toEqual(new Set([`${ALICE.email} role_missing`]));
      const verified = await run(['audit', 'verify', 'keyhole-audit.ndjson'], { cwd: keyhole.directory });
      expect(verified.code).toBe(0);
    });
  },
);
