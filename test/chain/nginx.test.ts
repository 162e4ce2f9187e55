// The nginx block of docs/sign-in.md, as it stands there, in front of a codec server that people sign in at.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SESSION_COOKIE } from '../../src/access/sign-in/session-cookie.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { HandBrowser } from '../dev/browser.js';
import { describeWithParts } from '../parts/available.js';
import { startNginx, type Nginx } from '../parts/nginx.js';
import { freePort } from '../parts/spawn-part.js';
import { keepStream, plantSecret } from '../streams.js';
import { startInProcess, type InProcess } from './in-process.js';
import { startSignInProvider, type SignInProvider } from './sign-in-provider.js';

const ORDERS = 'orders.a1b2c';
const UI = 'https://localhost:1';
/** As many as a session can hold. */
const GROUPS = Array.from({ length: 45 }, (_, index) => `${index}`.padEnd(36, 'g'));
const ALICE = {
  email: 'alice@example.com',
  name: 'Alice',
  claims: { permissions: [`${ORDERS}:admin`], groups: GROUPS },
};

interface Answer {
  readonly status: number;
  readonly body: string;
}

describeWithParts(['nginx'], 'a codec server behind nginx', () => {
  let certificates: Certificates;
  let provider: SignInProvider;
  let server: InProcess;
  let nginx: Nginx;
  let codec: string;
  let cookie: string;

  beforeAll(async () => {
    certificates = await makeCertificates();
    const [front, behind] = [await freePort(), await freePort()];
    codec = `https://localhost:${front}`;
    provider = await startSignInProvider({ certificates, people: [ALICE], codecs: [codec] });
    server = await startInProcess({
      namespaces: [ORDERS],
      files: { 'ca.pem': certificates.ca, ...provider.files },
      configuration: {
        listen: `127.0.0.1:${behind}`,
        publicUrl: codec,
        trustedProxies: ['127.0.0.1/32'],
        cors: { origins: [UI] },
        access: access(provider),
      },
    });
    const text = await readFile(new URL('../../docs/sign-in.md', import.meta.url), 'utf8');
    const block = /```nginx\n(.*?)```/s.exec(text)?.[1] ?? '';
    nginx = await startNginx({
      port: front,
      block: block.replace(':8081', `:${behind}`),
      certificate: certificates,
    });
  });
  afterAll(async () => {
    await nginx.stop();
    await server.stop();
    await provider.stop();
  });

  function access({ issuer, signIn }: SignInProvider): object {
    const roles = Object.fromEntries(GROUPS.map((group) => [group, [`namespace:read@${ORDERS}`]]));
    return {
      issuers: [{ issuer, audience: 'keyhole', ca: 'ca.pem', claims: { groups: 'groups' } }],
      signIn: { ...signIn(), scopes: ['openid', 'email', 'groups'] },
      roles: { source: 'token-claims', groups: roles },
    };
  }

  /** As a page of the Web UI asks, from an address of this machine. */
  function ask(route: string, body: string, more: Record<string, string> = { cookie }): Promise<Answer> {
    const headers = { origin: UI, 'content-type': 'application/json', 'x-namespace': ORDERS, ...more };
    return new Promise((resolve, reject) => {
      const options = {
        method: 'POST',
        headers,
        ca: certificates.ca,
        localAddress: '127.0.0.2',
        agent: false,
      };
      const outgoing = request(`${codec}/${route}`, options, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if (incoming.statusCode !== 200) keepStream('nginx-error-body', text);
          resolve({ status: incoming.statusCode ?? 0, body: text });
        });
      });
      outgoing.on('error', reject).end(body);
    });
  }

  test('lets people sign in, even to the largest session there can be', async () => {
    const browser = new HandBrowser(certificates.ca);
    const answer = await browser.signIn(codec, ALICE.email);
    expect([answer.status, answer.headers.get('location')]).toEqual([303, `${codec}/signin`]);
    cookie = `${SESSION_COOKIE}=${plantSecret(browser.cookies.get(SESSION_COOKIE) ?? '')}`;
    expect(cookie.length).toBeGreaterThan(2_700);
    const page = await browser.request(`${codec}/why?namespace=${ORDERS}`);
    expect(await page.text()).toContain('You may see payloads in the clear');
  });

  test('passes what is sealed and opened, and writes none of it into a file', async () => {
    const metadata = { encoding: Buffer.from('json/plain').toString('base64') };
    const payload = { metadata, data: Buffer.from(JSON.stringify('x'.repeat(3_000_000))).toString('base64') };
    const sealed = await ask('encode', JSON.stringify({ payloads: [payload] }));
    expect(sealed.status).toBe(200);
    const opened = await ask('decode', sealed.body);
    expect([opened.status, JSON.parse(opened.body)]).toEqual([200, { payloads: [payload] }]);
    expect(await nginx.warnings()).not.toContain('temporary file');
  });

  test('has the caller’s own address on record, whatever a caller says of it', async () => {
    const answer = await ask('decode', '{}', { cookie, 'x-forwarded-for': '203.0.113.7' });
    expect(answer.status).toBe(200);
    const last = (await server.records()).at(-1) ?? '';
    expect(last).toContain('"127.0.0.2"');
    expect(last).not.toContain('203.0.113.7');
  });

  test('passes a token of 16 KiB, beside another', async () => {
    const token = plantSecret(randomBytes(12_000).toString('base64url'));
    const headers = { authorization: `Bearer ${token}`, 'authorization-extras': token };
    const answer = await ask('decode', '{}', headers);
    expect([answer.status, answer.body]).toEqual([401, expect.stringContaining('"code":"token_invalid"')]);
  });
});
