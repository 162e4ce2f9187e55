// Roles that an identity provider names at sign-in: from its ID token, through the session, to `/decode`.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stringify } from 'yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SESSION_COOKIE } from '../../src/access/session-cookie.js';
import { loadConfig } from '../../src/config/load-config.js';
import { writeLocalKeyFile } from '../../src/config/local-key-file.js';
import { createLog } from '../../src/config/logger.js';
import { startService, type Service } from '../../src/config/service.js';
import { ask, textOf, type Answer } from '../../src/dev/ask.js';
import { makeCertificates } from '../../src/dev/certificates.js';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity-provider.js';
import type { Person } from '../../src/dev/people.js';
import { fetchTrusting, type TrustingFetch } from '../../src/access/trusting-fetch.js';
import { HandBrowser } from '../dev/browser.js';
import { freePort } from '../parts/spawn-part.js';
import { keepStream, plantSecret } from '../streams.js';

const ORDERS = 'orders.a1b2c';
const BILLING = 'billing.a1b2c';
const UI = 'https://localhost:1';
const TEXT = plantSecret('plaintext-of-a-session-with-roles');
const CLIENT = { client_id: 'keyhole', client_secret: plantSecret(randomBytes(16).toString('hex')) };
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

let directory: string;
let provider: IdentityProvider;
let service: Service;
let codec: string;
let trusting: TrustingFetch;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-session-roles-'));
  const certificates = await makeCertificates();
  trusting = fetchTrusting(certificates.ca);
  codec = `https://localhost:${await freePort()}`;
  provider = await startIdentityProvider({
    certificates,
    people: [ALICE, GRACE, NORA, OVID],
    clients: [{ ...CLIENT, redirect_uris: [`${codec}/signin/callback`] }],
    audience: 'keyhole',
  });
  const secret = { mode: 0o600 };
  await writeFile(join(directory, 'cert.pem'), certificates.cert);
  await writeFile(join(directory, 'key.pem'), certificates.key, secret);
  await writeFile(join(directory, 'ca.pem'), certificates.ca);
  await writeFile(join(directory, 'client-secret'), CLIENT.client_secret, secret);
  const sessionSecret = plantSecret(randomBytes(32).toString('base64'));
  await writeFile(join(directory, 'session-secret'), sessionSecret, secret);
  for (const name of [ORDERS, BILLING]) await writeLocalKeyFile(join(directory, `${name}.yaml`), name);
  const file = join(directory, 'keyhole.yaml');
  await writeFile(file, stringify(configuration()));
  const load = () => loadConfig({ file, env: {}, cwd: directory });
  const loaded = await load();
  if (!('config' in loaded)) throw new Error(JSON.stringify(loaded.problems));
  const { logger, flush } = createLog('debug', join(directory, 'log'));
  const started = await startService({ config: loaded.config, load, logger, stdout: new PassThrough() });
  flush();
  if (!('service' in started)) throw new Error(JSON.stringify(started.problems));
  service = started.service;
});
afterAll(async () => {
  await service.stop({ hurry: true });
  await provider.stop();
  keepStream('session-roles-log', await readFile(join(directory, 'log')));
  keepStream('session-roles-audit', await readFile(join(directory, 'audit.ndjson')));
  await rm(directory, { recursive: true });
});

function configuration(): object {
  const { issuer } = provider;
  return {
    listen: `127.0.0.1:${new URL(codec).port}`,
    publicUrl: codec,
    tls: { cert: 'cert.pem', key: 'key.pem' },
    cors: { origins: [UI] },
    keys: [ORDERS, BILLING].map((name) => ({
      namespaces: [name],
      wrap: { provider: 'local', file: `${name}.yaml` },
    })),
    access: {
      issuers: [
        { issuer, audience: 'keyhole', ca: 'ca.pem', claims: { groups: 'groups' }, accept: ['session'] },
      ],
      signIn: {
        issuer,
        clientId: CLIENT.client_id,
        clientSecretFile: 'client-secret',
        sessionSecretFile: 'session-secret',
        scopes: ['openid', 'email', 'groups'],
      },
      roles: { source: 'token-claims', groups: { payments: [`namespace:admin@${BILLING}`] } },
    },
    audit: { file: 'audit.ndjson' },
    metrics: { listen: '127.0.0.1:0' },
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
