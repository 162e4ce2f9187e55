// Roles that an identity provider names at sign-in: from its ID token, through the session, to `/decode`.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchTrusting, type TrustingFetch } from '../../src/access/outgoing/trusting-fetch.js';
import { SESSION_COOKIE } from '../../src/access/sign-in/session-cookie.js';
import { ask, textOf, type Answer } from '../../src/dev/ask.js';
import { makeCertificates } from '../../src/dev/certificates.js';
import type { Person } from '../../src/dev/people.js';
import { HandBrowser } from '../dev/browser.js';
import { freePort } from '../parts/spawn-part.js';
import { plantSecret } from '../streams.js';
import { startInProcess, type InProcess } from './in-process.js';
import { startSignInProvider, type SignInProvider } from './sign-in-provider.js';

const ORDERS = 'orders.a1b2c';
const BILLING = 'billing.a1b2c';
const UI = 'https://localhost:1';
const TEXT = plantSecret('plaintext-of-a-session-with-roles');
const PAYLOAD = {
  metadata: { encoding: Buffer.from('json/plain').toString('base64') },
  data: Buffer.from(JSON.stringify(TEXT)).toString('base64'),
};

const person = (name: string, claims: NonNullable<Person['claims']>): Person => {
  return { email: `${name}@example.com`, name, claims };
};
const ALICE = person('alice', { permissions: [`${ORDERS}:admin`, `${BILLING}:read`] });
const GRACE = person('grace', { groups: [...Array.from({ length: 300 }, () => 'a'.repeat(36)), 'payments'] });
const NORA = person('nora', {});
const OVID = person('ovid', {
  permissions: Array.from({ length: 200 }, (_, index) => `namespace-${index}.a1b2c:admin`),
});

let provider: SignInProvider;
let server: InProcess;
let codec: string;
let trusting: TrustingFetch;

beforeAll(async () => {
  const certificates = await makeCertificates();
  trusting = fetchTrusting(certificates.ca);
  codec = `https://localhost:${await freePort()}`;
  const people = [ALICE, GRACE, NORA, OVID];
  provider = await startSignInProvider({ certificates, people, codecs: [codec] });
  server = await startInProcess({
    namespaces: [ORDERS, BILLING],
    files: {
      'cert.pem': certificates.cert,
      'key.pem': certificates.key,
      'ca.pem': certificates.ca,
      ...provider.files,
    },
    configuration: {
      listen: `127.0.0.1:${new URL(codec).port}`,
      publicUrl: codec,
      tls: { cert: 'cert.pem', key: 'key.pem' },
      cors: { origins: [UI] },
      access: access(provider),
    },
  });
});
afterAll(async () => {
  await server.stop();
  await provider.stop();
});

function access({ issuer, signIn }: SignInProvider): object {
  const claims = { groups: 'groups' };
  return {
    issuers: [{ issuer, audience: 'keyhole', ca: 'ca.pem', claims, accept: ['session'] }],
    signIn: { ...signIn(), scopes: ['openid', 'email', 'groups'] },
    roles: { source: 'token-claims', groups: { payments: [`namespace:admin@${BILLING}`] } },
  };
}

/** The last answer of a sign-in, and the `Cookie` header it leaves. */
async function signIn({ email }: Person): Promise<{ readonly answer: Response; readonly cookie: string }> {
  const browser = new HandBrowser(provider.ca);
  const answer = await browser.signIn(codec, email);
  const value = browser.cookies.get(SESSION_COOKIE) ?? '';
  return { answer, cookie: value === '' ? '' : `${SESSION_COOKIE}=${plantSecret(value)}` };
}

function asked(
  route: 'decode' | 'encode',
  namespace: string,
  cookie: string,
  sealed = [PAYLOAD],
): Promise<Answer> {
  const fetch: TrustingFetch = (url, init) =>
    trusting(url, { ...init, headers: { ...(init?.headers as Record<string, string>), cookie } });
  return ask({ fetch, codec, route, namespace, payloads: sealed, origin: UI });
}

test('somebody whom the provider names an admin of a namespace reads there, and nowhere else', async () => {
  const { cookie } = await signIn(ALICE);
  const sealed = await asked('encode', ORDERS, cookie);
  expect(sealed.status).toBe(200);
  const opened = await asked('decode', ORDERS, cookie, [...sealed.payloads] as (typeof PAYLOAD)[]);
  expect([opened.status, opened.payloads.map(textOf)]).toEqual([200, [JSON.stringify(TEXT)]]);
  const elsewhere = await asked('decode', BILLING, cookie);
  expect([elsewhere.status, elsewhere.error?.code]).toEqual([403, 'role_missing']);
});

test('a group counts by what the configuration grants it, among 300 others that it does not name', async () => {
  const { cookie } = await signIn(GRACE);
  expect(cookie.length).toBeLessThan(1_000);
  expect((await asked('encode', BILLING, cookie)).status).toBe(200);
  expect((await asked('encode', ORDERS, cookie)).status).toBe(403);
});

test('somebody of whom the provider says nothing is signed in, and reads nothing', async () => {
  const { cookie } = await signIn(NORA);
  const refused = await asked('decode', ORDERS, cookie);
  expect([refused.status, refused.error?.code]).toEqual([403, 'role_missing']);
});

test('somebody with more roles than a session can hold is told so, and gets none of them', async () => {
  const { answer, cookie } = await signIn(OVID);
  expect([answer.status, cookie]).toEqual([403, '']);
  expect(await answer.text()).toContain('more of your roles and groups than a session can hold');
});
