// The whole of `keyhole dev` on a real Temporal server: what three people see in a real browser, and how it all ends.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isFree } from '../../src/dev/loopback.js';
import { describeWithParts } from '../parts/available.js';
import { launchChromium } from '../parts/chromium.js';
import { keepStream, plantSecret } from '../streams.js';
import { startDevProcess, type DevProcess } from './dev-process.js';

const NOTICE = '[keyhole notice]';

describeWithParts(['temporal'], 'dev mode on a Temporal server, once', ({ temporal }) => {
  test(
    'prints who saw what as a table, and ends with 0 and nothing left running',
    { timeout: 90_000 },
    async () => {
      const dev = startDevProcess(temporal, true);
      const code = await dev.ended;
      expect(code, dev.said()).toBe(0);
      expect(dev.said()).toMatch(
        /alice +admin +orders\.a1b2c +a script +200 +"Hello, Temporal", why the payment failed, 1 MB of input\n/,
      );
      expect(dev.said()).toMatch(/alice +write +billing\.a1b2c +a script +403 +nothing: role_missing\n/);
      expect(dev.said()).toContain(
        '6 ran; the server holds 16 sealed payloads, and nothing of them in the clear',
      );
      expect(dev.said()).toContain('All 11 answers are as they should be.');
      expect(dev.said()).not.toContain('Ctrl-C ends everything');
      expect(await isFree(temporalPort(dev))).toBe(true);
    },
  );
});

describeWithParts(['temporal', 'chromium'], 'dev mode on a Temporal server, until Ctrl-C', ({ temporal }) => {
  let dev: DevProcess;
  let browser: Browser;
  let ui: string;
  let codec: string;

  beforeAll(async () => {
    dev = startDevProcess(temporal, false);
    browser = await launchChromium();
    await dev.until('Ctrl-C ends everything');
    codec = /Open (http:\S+)\/signin/.exec(dev.said())?.[1] ?? '';
    ui = new URL(codec).origin;
  });

  afterAll(async () => {
    await browser.close();
    dev.child.kill('SIGTERM');
    await dev.ended;
  });

  /** A browser of their own, signed in through the pages as a person would. */
  async function signIn(name: string): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    await page.goto(`${codec}/signin`);
    await page.getByRole('link', { name: 'Sign in' }).click();
    await page.getByRole('button', { name }).click();
    await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
    expect(await page.getByText(`${name}@example.com`).count()).toBe(1);
    await page.screenshot({ path: `artifacts/ui-signed-in-${name}.png` });
    return page;
  }

  /** What the page of a workflow shows once each text is there as often as it is named; a screenshot is kept. */
  async function look(page: Page, workflow: string, shows: string[], picture: string): Promise<string> {
    await page.goto(`${ui}/namespaces/${workflow.replace('/', '/workflows/')}`);
    for (const [index, text] of shows.entries()) {
      const before = shows.slice(0, index).filter((one) => one === text).length;
      await page.getByText(text).nth(before).waitFor();
    }
    await page.screenshot({ path: `artifacts/ui-${picture}.png` });
    return await page.locator('body').innerText();
  }

  test('shows the admin input, result and failure in the clear', async () => {
    const page = await signIn('alice');
    const greeting = await look(page, 'orders.a1b2c/greeting', ['"Temporal"', 'Hello, Temporal'], 'admin');
    expect(greeting).not.toContain(NOTICE);
    const failure = await look(page, 'orders.a1b2c/payment-that-fails', ['was declined'], 'admin-failure');
    expect(failure).toContain('the card of Ada Lovelace was declined');
    await page.context().close();
  });

  test.each([
    ['reader', 'rita'],
    ['stranger', 'sam'],
  ])('shows the %s a notice in the place of each payload', async (kind, name) => {
    const page = await signIn(name);
    const greeting = await look(page, 'orders.a1b2c/greeting', [NOTICE, NOTICE], kind);
    expect(greeting).not.toContain('"Temporal"');
    expect(greeting).not.toContain('Hello');
    const failure = await look(page, 'orders.a1b2c/payment-that-fails', [NOTICE, NOTICE], `${kind}-failure`);
    expect(failure).not.toContain('Lovelace');
    await page.context().close();
  });

  test('shows somebody who is not signed in that they should', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const greeting = await look(page, 'orders.a1b2c/greeting', [NOTICE, NOTICE], 'nobody');
    expect(greeting).toContain(`you are not signed in: sign in at ${codec}/signin`);
    expect(greeting).not.toContain('Hello');
    await context.close();
  });

  test('shows the admin of one namespace only ciphertext of the other, and a link to why', async () => {
    const page = await signIn('alice');
    const bar = 'The codec server opened nothing for you here.';
    const greeting = await look(page, 'billing.a1b2c/greeting', [bar], 'admin-elsewhere');
    expect(greeting).not.toContain('Hello');
    const link = page.locator(`a[href="${codec}/why"]`).filter({ visible: true }).first();
    const opened = page
      .context()
      .waitForEvent('page', { timeout: 5_000 })
      .catch(() => page);
    await link.click();
    const why = await opened;
    await why.getByRole('link', { name: 'billing.a1b2c' }).click();
    await why.getByText('You may not see payloads in the clear').waitFor();
    expect(await why.locator('main').innerText()).toContain('to decode in billing.a1b2c you need one of');
    await why.screenshot({ path: 'artifacts/ui-why.png' });
    await page.context().close();
  });

  test('lets one person follow another in the same browser', async () => {
    const page = await signIn('alice');
    expect(await page.getByRole('link', { name: 'To the Web UI' }).getAttribute('href')).toBe(ui);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('link', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'rita' }).click();
    await page.getByText('rita@example.com').waitFor();
    const greeting = await look(page, 'orders.a1b2c/greeting', [NOTICE, NOTICE], 'reader-after-admin');
    expect(greeting).not.toContain('Hello');
    await page.context().close();
  });

  test('keeps token and session from the page: no script sees them, no address holds them', async () => {
    const page = await signIn('alice');
    const addresses: string[] = [];
    page.on('request', (request) => addresses.push(request.url()));
    await look(page, 'orders.a1b2c/greeting', ['"Temporal"', 'Hello, Temporal'], 'admin');
    const seen = await page.evaluate<string>(
      'JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])',
    );
    for (const text of [seen, ...addresses]) expect(text).not.toMatch(/eyJ|keyhole-session/);
    expect(addresses.some((address) => address.includes('/_codec/decode'))).toBe(true);
    await page.context().close();
  });

  test('gives pages their style, which their content security policy must allow, and keys their focus', async () => {
    const page = await browser.newPage({ forcedColors: 'active' });
    await page.goto(`${codec}/signin`);
    await page.keyboard.press('Tab');
    const outline = 'getComputedStyle(document.activeElement).outlineStyle';
    expect(await page.evaluate(outline)).toBe('solid');
    expect(await page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius")).toBe('14px');
    await page.close();
  });

  test('prints commands for the Temporal CLI and curl that show the admin the payloads in the clear', async () => {
    const printed = commandsIn(dev.said());
    expect(printed).toHaveLength(2);
    const [cli = '', curl = ''] = printed;
    const run = async (command: string) => (await promisify(execFile)('bash', ['-c', command])).stdout;
    expect(await run(cli)).toContain('Hello, Temporal');
    const answer = JSON.parse(await run(curl)) as { payloads: { data: string }[] };
    const opened = answer.payloads.map(({ data }) => Buffer.from(data, 'base64').toString());
    expect(opened).toContain('"Hello, Temporal"');
    const asRita = await run(curl.replace('alice.token', 'rita.token'));
    keepStream('dev-error-body', asRita);
    expect(JSON.parse(asRita)).toMatchObject({ error: { code: 'role_missing' } });
  });

  test('says how the CLI ends as the reader, and it does', { timeout: 30_000 }, async () => {
    const [, text = ''] =
      /As rita \(rita\.token\) it tries for 10 s and ends with “(.*)”/.exec(dev.said()) ?? [];
    const asRita = commandsIn(dev.said())[0]?.replace('alice.token', 'rita.token') ?? '';
    const refused = promisify(execFile)('bash', ['-c', asRita]);
    await expect(refused).rejects.toMatchObject({ stderr: expect.stringContaining(text) as string });
    expect(text).toBe('context deadline exceeded');
  });

  test('is ended by Ctrl-C: nothing is left running, and its files are gone', async () => {
    const [, record = ''] = /tail -f (\S+)/.exec(dev.said()) ?? [];
    const directory = dirname(record);
    plantSecret('the card of Ada Lovelace was declined');
    for (const name of ['alice', 'rita', 'sam'])
      plantSecret(readFileSync(`${directory}/${name}.token`, 'utf8'));
    keepStream('dev-record', readFileSync(record));
    keepStream('dev-log', readFileSync(`${directory}/codec-server.log`));
    dev.child.kill('SIGINT');
    expect(await dev.ended).toBe(0);
    expect(dev.said()).toMatch(/ending what was started …\n$/);
    expect(existsSync(directory)).toBe(false);
    expect(await isFree(temporalPort(dev))).toBe(true);
    expect(await isFree(Number(new URL(ui).port))).toBe(true);
  });
});

function temporalPort(dev: DevProcess): number {
  return Number(/Temporal server +127\.0\.0\.1:(\d+)/.exec(dev.said())?.[1]);
}

/** What a person would copy: the indented lines that begin with a program, with their continuations. */
function commandsIn(text: string): string[] {
  return [...text.matchAll(/^ {2}((?:SSL_CERT_FILE=|curl )(?:\\\n|.)*)/gm)].map(
    ([, command = '']) => command,
  );
}
