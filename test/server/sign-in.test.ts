// Signing in at the codec server with a real OpenID provider, and every way to abuse the cookie that comes of it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SESSION_COOKIE, SIGN_IN_COOKIE } from '../../src/access/sign-in/session-cookie.js';
import { SignIn } from '../../src/access/sign-in/sign-in.js';
import { systemClock, type Clock } from '../../src/clock.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity/identity-provider.js';
import { KeyholeError } from '../../src/errors.js';
import { HandBrowser } from '../dev/browser.js';
import { freePort } from '../parts/spawn-part.js';
import { keepStream, plantSecret } from '../streams.js';
import {
  BILLING,
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  textOf,
  TOKENS,
  UI,
  type Answer,
  type RunningServer,
  type StartOptions,
} from './running-server.js';

const TEXT = plantSecret('plaintext-of-a-signed-in-admin');
const CLIENT = { client_id: 'keyhole', client_secret: plantSecret('client-secret-60be21d7c9') };
const SESSION_SECRET = plantSecret('session-secret-2d9c40e1a7-2d9c40e1a7');

let certificates: Certificates;
let provider: IdentityProvider;
let directory: string;
let origin: string;
let running: RunningServer;
let browser: HandBrowser;

beforeAll(async () => {
  certificates = await makeCertificates();
  directory = await mkdtemp(join(tmpdir(), 'keyhole-sign-in-'));
  await writeFile(join(directory, 'cert.pem'), certificates.cert);
  await writeFile(join(directory, 'key.pem'), certificates.key, { mode: 0o600 });
  origin = `https://localhost:${await freePort()}`;
  provider = await startIdentityProvider({
    certificates,
    people: ['admin', 'reader'].map((name) => ({ email: `${name}@example.com`, name })),
    clients: [{ ...CLIENT, redirect_uris: [`${origin}/signin/callback`] }],
    audience: 'keyhole',
  });
  running = await start({});
});
afterAll(async () => {
  await running.stop();
  await provider.stop();
  await rm(directory, { recursive: true });
});
beforeEach(() => {
  browser = new HandBrowser(certificates.ca);
  running.audit.events.length = 0;
  running.audit.visits.length = 0;
  running.audit.strangers.length = 0;
});

const signInWith = (clock?: Clock): SignIn =>
  new SignIn({
    issuer: {
      issuer: provider.issuer,
      audience: ['keyhole'],
      ca: certificates.ca,
      emailClaim: 'email',
      emailDomains: ['example.com'],
    },
    clientId: CLIENT.client_id,
    clientSecret: CLIENT.client_secret,
    sessionSecret: SESSION_SECRET,
    publicUrl: origin,
    origins: [UI],
    ...(clock && { clock }),
  });

function start(options: NonNullable<StartOptions['options']>): Promise<RunningServer> {
  const signIn = signInWith();
  const tls = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  const listen = { host: '127.0.0.1', port: Number(new URL(origin).port) };
  return startServer({
    options: { publicUrl: origin, tls, listen, namespaces: [ORDERS, BILLING], ...options },
    ca: certificates.ca,
    signIn,
  });
}

/** Goes through a whole sign-in up to the address that the provider sends the browser back to. */
async function walkToCallback(who: HandBrowser, email: string): Promise<string> {
  let target = new URL(`${origin}/signin/start`);
  do {
    const answer = target.pathname.startsWith('/interaction/')
      ? await who.submit(target.href, target.origin, { person: email })
      : await who.request(target);
    target = new URL(answer.headers.get('location') ?? '', target);
  } while (target.pathname !== '/signin/callback');
  return target.href;
}

async function signIn(who: HandBrowser, email = 'admin@example.com'): Promise<void> {
  const answer = await who.request(await walkToCallback(who, email));
  expect([answer.status, answer.headers.get('location')]).toEqual([303, `${origin}/signin`]);
  plantSecret(sessionOf(who));
}

function sessionOf(who: HandBrowser): string {
  return who.cookies.get(SESSION_COOKIE) ?? '';
}

async function page(
  path: string,
  who = browser,
): Promise<{ status: number; text: string; headers: Headers }> {
  const answer = await who.request(`${origin}${path}`);
  const text = await answer.text();
  keepStream('server-page', text.replace(/name="token" value="[^"]*"/, ''));
  return { status: answer.status, text, headers: answer.headers };
}

/** `/decode` as a page of `from` asks with the browser's cookies. */
async function decode(headers: Record<string, string> = {}, cookie = sessionOf(browser)): Promise<Answer> {
  const sealed = await running.cipher.seal(plainPayload(TEXT), ORDERS);
  return running.ask('/decode', {
    namespace: ORDERS,
    body: bodyOf(sealed),
    headers: { ...(cookie === '' ? {} : { cookie: `a=b; ${SESSION_COOKIE}=${cookie}` }), ...headers },
  });
}

const FROM_UI = { origin: UI, 'sec-fetch-site': 'cross-site' };

describe('somebody who signed in', () => {
  test('sees on /signin who they are, and decodes by the cookie alone', async () => {
    expect((await page('/signin')).text).toContain('Sign in to see payloads');
    await signIn(browser);
    const { status, text } = await page('/signin');
    expect(status).toBe(200);
    expect(text).toContain('admin@example.com');
    const answer = await decode(FROM_UI);
    expect(answer.status).toBe(200);
    expect(answer.payloads().map(textOf)).toEqual([TEXT]);
    expect(answer.headers['access-control-allow-credentials']).toBe('true');
    expect(running.audit.events[0]?.who).toMatchObject({ email: 'admin@example.com', method: 'session' });
  });

  test('is refused what their role does not allow, with the same sentence as with a token', async () => {
    await signIn(browser, 'reader@example.com');
    const answer = await decode(FROM_UI);
    expect([answer.status, answer.code()]).toEqual([403, 'role_missing']);
  });

  test('reads on /why what they may do in a namespace, by which rule, and what is missing', async () => {
    await signIn(browser, 'admin@example.com');
    const may = (await page(`/why?namespace=${ORDERS}`)).text;
    expect(may).toMatch(/You may see payloads in the clear<\/strong>, by rule 1 of the configuration/);
    const reader = new HandBrowser(certificates.ca);
    await signIn(reader, 'reader@example.com');
    const mayNot = (await page(`/why?namespace=${ORDERS}`, reader)).text;
    expect(mayNot).toContain('You may not see payloads in the clear');
    expect(mayNot).toContain(`to decode in ${ORDERS} you need one of: namespace:admin`);
  });

  test('reads on /why, without a namespace, which of those that the configuration names they may read', async () => {
    await signIn(browser);
    running.authorizer.closed.add(BILLING);
    const { status, text } = await page('/why');
    running.authorizer.closed.clear();
    expect(status).toBe(200);
    const lines = [...text.matchAll(/<b>([^<]+)<\/b><span>([^<]+)</g)].map(([, name, may]) => [name, may]);
    expect(lines).toEqual([
      [ORDERS, 'you may see its payloads'],
      [BILLING, 'you may not see its payloads'],
    ]);
    expect(text).toContain(`href="${origin}/why?namespace=${BILLING}"`);
  });

  test('gets a page for a namespace that is none, twice there, or not there', async () => {
    await signIn(browser);
    expect((await page('/why?namespace=%0a')).status).toBe(400);
    expect((await page('/why?namespace=a&namespace=b')).status).toBe(400);
    expect((await page('/why')).status).toBe(200);
    const injected = await page('/why?namespace=%3Cscript%3E');
    expect([injected.status, injected.text.includes('<script>')]).toEqual([400, false]);
  });

  test('signs out, and the copy of the cookie that somebody made is worth nothing here', async () => {
    await signIn(browser);
    const copy = sessionOf(browser);
    const token = /name="token" value="([^"]+)"/.exec((await page('/signin')).text)?.[1] ?? '';
    const answer = await browser.submit(`${origin}/signout`, origin, { token });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, `${origin}/signin`]);
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false);
    expect((await page('/signin')).text).toContain('Sign in to see payloads');
    const late = await decode(FROM_UI, copy);
    expect([late.status, late.code()]).toEqual([401, 'token_expired']);
  });
});

describe('on record are', () => {
  const visits = (): string[] =>
    running.audit.visits.map(
      ({ activity, who, namespaces, status, outcome }) =>
        `${who.email ?? ''} ${activity} ${namespaces.join(' ')} ${status} ${outcome}`,
    );
  const failing = async <T>(work: () => Promise<T>): Promise<T> => {
    running.audit.failure = new KeyholeError('audit_unavailable', 'the disk is full');
    try {
      return await work();
    } finally {
      running.audit.failure = undefined;
    }
  };
  const signOut = async (): Promise<Response> => {
    const token = /name="token" value="([^"]+)"/.exec((await page('/signin')).text)?.[1] ?? '';
    return browser.submit(`${origin}/signout`, origin, { token });
  };

  test('who signed in, looked up what they may do, and signed out; and no line of theirs among strangers', async () => {
    await signIn(browser);
    await page(`/why?namespace=${ORDERS}`);
    await page('/why?namespace=a&namespace=b');
    await signOut();
    expect(visits()).toEqual([
      'admin@example.com sign-in  303 ok',
      `admin@example.com look ${ORDERS} 200 ok`,
      'admin@example.com look a b 400 namespace_conflict',
      'admin@example.com sign-out  303 ok',
    ]);
    expect(running.audit.visits[0]?.who).toMatchObject({ issuer: provider.issuer, address: '127.0.0.1' });
    const strangers = running.audit.strangers.filter(({ route }) => route !== 'decode'); // of the test before
    expect(strangers).toEqual([]);
  });

  test('of what was looked up no more than can be a namespace: else it may be a token, misplaced', async () => {
    await signIn(browser);
    const misplaced = plantSecret('Bearer misplaced~4f1c7a9e2b60');
    const { status } = await page(`/why?namespace=${encodeURIComponent(misplaced)}`);
    expect([status, visits().at(-1)]).toEqual([400, 'admin@example.com look  400 namespace_invalid']);
  });

  test('nobody who failed to: whoever that was counts among the strangers', async () => {
    const link = await walkToCallback(browser, 'admin@example.com');
    const other = new HandBrowser(certificates.ca);
    expect((await other.request(link)).status).toBe(401);
    expect((await page('/why', other)).status).toBe(401);
    await expect
      .poll(() => running.audit.strangers.map(({ route, code }) => `${route} ${code}`))
      .toEqual(['signin-callback token_missing', 'why token_missing']);
    expect(running.audit.strangers[0]?.message).toBe('this browser did not begin the sign-in that ends here');
    expect(visits()).toEqual([]);
  });

  test('all who get a session: without a record there is none', async () => {
    const link = await walkToCallback(browser, 'admin@example.com');
    const answer = await failing(() => browser.request(link));
    expect(answer.status).toBe(503);
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false);
  });

  test('all who learn what they may do: without a record nothing is said', async () => {
    await signIn(browser);
    const { status, text } = await failing(() => page(`/why?namespace=${ORDERS}`));
    expect(status).toBe(503);
    expect(text).not.toContain('You may');
  });

  test('not always those who sign out: that takes effect even where it cannot be written', async () => {
    await signIn(browser);
    const copy = sessionOf(browser);
    const { text } = await page('/signin');
    const token = /name="token" value="([^"]+)"/.exec(text)?.[1] ?? '';
    const answer = await failing(() => browser.submit(`${origin}/signout`, origin, { token }));
    expect(answer.status).toBe(503);
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false);
    expect((await decode(FROM_UI, copy)).code()).toBe('token_expired');
  });
});

describe('nobody who did not', () => {
  test('sees more than where to sign in', async () => {
    const why = await page(`/why?namespace=${ORDERS}`);
    expect([why.status, why.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="keyhole"']);
    expect(why.text).toContain(`href="${origin}/signin"`);
    expect(running.authorizer.asked.filter((asked) => asked.startsWith(' '))).toEqual([]);
  });

  test('is told in a notice to sign in at this server', async () => {
    await running.stop();
    running = await start({ denied: 'notice' });
    try {
      const [payload] = (await decode(FROM_UI, '')).payloads();
      expect(textOf(payload)).toBe(`[keyhole notice] you are not signed in: sign in at ${origin}/signin`);
    } finally {
      await running.stop();
      running = await start({});
    }
  });
});

describe('a request to /decode with the cookie', () => {
  beforeEach(() => signIn(browser));

  test.each<[string, Record<string, string>]>([
    ['without an Origin', {}],
    ['without an Origin, from this very server', { 'sec-fetch-site': 'same-origin' }],
    ['of another origin', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['of no origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['whose Sec-Fetch-Site does not fit its Origin', { origin: UI, 'sec-fetch-site': 'same-origin' }],
    ['that no page sent', { origin: UI, 'sec-fetch-site': 'none' }],
  ])('%s is refused before roles or key service are asked', async (_, headers) => {
    running.authorizer.asked.length = 0;
    const answer = await decode(headers);
    expect([answer.status, answer.code()]).toEqual([403, 'origin_refused']);
    expect(running.authorizer.asked).toEqual([]);
  });

  test('of a browser that does not say how page and server are related is served', async () => {
    expect((await decode({ origin: UI })).status).toBe(200);
  });

  test('as a form could send it is refused: it is no JSON', async () => {
    const type = { 'content-type': 'text/plain' };
    expect((await decode({ ...FROM_UI, ...type })).code()).toBe('content_type');
  });

  test.each(['Bearer a.b.c', 'Basic YTpi', 'Bearer ', ''])(
    'beside the Authorization "%s" is refused: that hides the cookie',
    async (authorization) => {
      expect((await decode({ ...FROM_UI, authorization })).status).toBe(401);
    },
  );

  test('beside a good token is the token’s', async () => {
    const answer = await decode({ ...FROM_UI, authorization: `Bearer ${TOKENS.reader}` });
    expect([answer.status, answer.code()]).toEqual([403, 'role_missing']);
    expect(running.audit.events[0]?.who).toMatchObject({ email: 'reader@example.com', method: 'bearer' });
  });

  test('twice is refused, be the other one tossed in before or after it', async () => {
    const own = sessionOf(browser);
    for (const cookies of [`${own}; ${SESSION_COOKIE}=x`, `x; ${SESSION_COOKIE}=${own}`]) {
      const answer = await decode(FROM_UI, cookies);
      expect([answer.status, answer.code()]).toEqual([401, 'token_invalid']);
    }
  });

  test.each([
    'keyhole-session',
    `\u00a0${SESSION_COOKIE}`,
    `x${SESSION_COOKIE}`,
    SESSION_COOKIE.toLowerCase(),
  ])('under the name %j, which any host of the domain may set, is nobody’s', async (name) => {
    const answer = await decode({ ...FROM_UI, cookie: `${name}=${sessionOf(browser)}` }, '');
    expect(answer.code()).toBe('token_missing');
  });
});

describe('a session that is due to be renewed', () => {
  let cookie: string;
  beforeEach(async () => {
    const sixMinutesAgo = { ...systemClock, wall: () => Date.now() - 6 * 60_000 };
    const identity = { subject: 'admin', issuer: provider.issuer, email: 'admin@example.com' };
    const line = await signInWith(sixMinutesAgo).sessions.open(identity);
    cookie = plantSecret(line.slice(line.indexOf('=') + 1, line.indexOf(';')));
  });

  /** The names of the cookies that a visit to /why sets. */
  async function renewedBy(fetchSite: string | undefined): Promise<number> {
    const headers = {
      cookie: `${SESSION_COOKIE}=${cookie}`,
      ...(fetchSite && { 'sec-fetch-site': fetchSite }),
    };
    const answer = await running.ask(`/why?namespace=${ORDERS}`, { method: 'GET', headers });
    expect(answer.status).toBe(200);
    return answer.headers['set-cookie']?.length ?? 0;
  }

  test('is renewed by pages that may ask with it, by our own and by the address bar', async () => {
    expect((await decode(FROM_UI, cookie)).headers['set-cookie']).toHaveLength(1);
    for (const site of ['same-origin', 'none', undefined]) expect(await renewedBy(site)).toBe(1);
  });

  test('is not kept alive by another page, which can make a browser ask as often as it likes', async () => {
    const refused = await decode({ 'sec-fetch-site': 'cross-site' }, cookie);
    expect([refused.status, refused.headers['set-cookie']]).toEqual([403, undefined]);
    for (const site of ['cross-site', 'same-site']) expect(await renewedBy(site)).toBe(0);
  });
});

describe('the pages', () => {
  test('have no scripts, no frames, forms to themselves only, and stay in no cache', async () => {
    await signIn(browser);
    for (const path of ['/signin', `/why?namespace=${ORDERS}`, '/signin/callback']) {
      const { headers, text } = await page(path);
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(text).not.toMatch(/<script| on\w+=|javascript:/);
    }
  });

  test.each(['image', 'iframe', 'empty', 'script'])(
    'are no %s of another page: what a person does not see is not on record as theirs',
    async (dest) => {
      await signIn(browser);
      running.audit.visits.length = 0;
      const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': dest };
      const answer = await browser.request(`${origin}/why?namespace=${ORDERS}`, { headers });
      expect([answer.status, running.audit.visits]).toEqual([403, []]);
      const own = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' };
      expect((await browser.request(`${origin}/why?namespace=${ORDERS}`, { headers: own })).status).toBe(200);
      expect(running.audit.visits).toHaveLength(1);
    },
  );

  test('can be read by no other page, not even of a listed origin', async () => {
    await signIn(browser);
    const answer = await browser.request(`${origin}/signin`, { headers: { origin: UI } });
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });

  test('take no return address: a sign-in ends on /signin, whatever was asked for', async () => {
    const bait = 'https://evil.example/';
    const query = new URLSearchParams({
      return: bait,
      redirect_uri: bait,
      next: bait,
      host: bait,
    }).toString();
    const begun = await browser.request(`${origin}/signin/start?${query}`, {
      headers: { 'x-forwarded-host': 'evil.example' },
    });
    const location = begun.headers.get('location') ?? '';
    expect(new URL(location).searchParams.get('redirect_uri')).toBe(`${origin}/signin/callback`);
    expect(location).not.toContain('evil');
    const callback = `${await walkToCallback(browser, 'admin@example.com')}&${query}`;
    const ended = await browser.request(callback);
    expect(ended.headers.get('location')).toBe(`${origin}/signin`);
  });

  test('begin no sign-in for a link elsewhere: it leads to the page first', async () => {
    const headers = { 'sec-fetch-site': 'cross-site' };
    const answer = await browser.request(`${origin}/signin/start`, { headers });
    expect(answer.headers.get('location')).toBe(`${origin}/signin`);
    expect(answer.headers.getSetCookie()).toEqual([]);
  });

  test.each(['/signin/callback', '/why'])('read no more than 8 KiB behind %s', async (path) => {
    await signIn(browser);
    const asked = async (bytes: number): Promise<number> =>
      (await browser.request(`${origin}${path}?${'a'.repeat(bytes)}`)).status;
    expect(await asked(8_193)).toBe(413);
    expect(await asked(8_192)).not.toBe(413);
  });

  test('end no sign-in that another browser began (login CSRF)', async () => {
    const attacker = new HandBrowser(certificates.ca);
    const link = await walkToCallback(attacker, 'reader@example.com');
    const answer = await browser.request(link);
    expect(answer.status).toBe(401);
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false);
    await browser.request(`${origin}/signin/start`);
    expect((await browser.request(link)).status).toBe(401);
    expect(browser.cookies.has(SESSION_COOKIE)).toBe(false);
  });

  test('end each sign-in once', async () => {
    const callback = await walkToCallback(browser, 'admin@example.com');
    const kept = new Map(browser.cookies);
    expect((await browser.request(callback)).status).toBe(303);
    expect(kept.has(SIGN_IN_COOKIE)).toBe(true);
    expect(browser.cookies.has(SIGN_IN_COOKIE)).toBe(false);
    expect((await browser.request(callback)).status).toBe(401);
    const again = new HandBrowser(certificates.ca);
    for (const [name, value] of kept) again.cookies.set(name, value);
    expect((await again.request(callback)).status).toBe(401); // the provider takes a code once
  });

  test('give a session an id of its own after each sign-in (session fixation)', async () => {
    await signIn(browser, 'reader@example.com');
    const planted = sessionOf(browser);
    await signIn(browser, 'admin@example.com');
    expect(sessionOf(browser)).not.toBe(planted);
    const answer = await decode(FROM_UI, planted);
    expect([answer.status, answer.code()]).toEqual([403, 'role_missing']);
  });

  test('take the sign-out form only from themselves, and only the one this session was shown', async () => {
    await signIn(browser);
    const token = /name="token" value="([^"]+)"/.exec((await page('/signin')).text)?.[1] ?? '';
    const other = new HandBrowser(certificates.ca);
    await signIn(other);
    const others = /name="token" value="([^"]+)"/.exec((await page('/signin', other)).text)?.[1] ?? '';
    for (const [from, sent] of [
      [UI, token],
      ['null', token],
      [origin, others],
      [origin, ''],
    ] as const) {
      expect((await browser.submit(`${origin}/signout`, from, { token: sent })).status).toBe(403);
      expect(browser.cookies.has(SESSION_COOKIE)).toBe(true);
    }
    const get = await browser.request(`${origin}/signout`);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await decode(FROM_UI)).status).toBe(200);
  });

  test('are not there where nobody signs in', async () => {
    const without = await startServer();
    try {
      for (const path of ['/signin', '/signin/start', '/signin/callback', '/why'])
        expect((await without.ask(path, { method: 'GET' })).status).toBe(404);
    } finally {
      await without.stop();
    }
  });
});

test('the log names neither cookie, code nor state', async () => {
  const callback = await walkToCallback(browser, 'admin@example.com');
  await browser.request(callback);
  const query = new URL(callback).searchParams;
  for (const secret of [query.get('code'), query.get('state'), sessionOf(browser)]) {
    expect(secret?.length).toBeGreaterThan(20);
    expect(running.log()).not.toContain(secret);
  }
});
