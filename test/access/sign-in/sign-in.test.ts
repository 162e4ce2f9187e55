// The end of a sign-in: what an issuer, or somebody in its name, may answer, and what is believed of it.
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SIGN_IN_COOKIE } from '../../../src/access/sign-in/session-cookie.js';
import { sameSiteFor, SignIn, type SignInOptions } from '../../../src/access/sign-in/sign-in.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { isKeyholeError } from '../../../src/errors.js';
import { FakeClock } from '../../fake-clock.js';
import { plantSecret } from '../../streams.js';
import { HttpsIssuer, json } from '../tokens/https-issuer.js';
import { forge, hmac, sign, signingKey, type Claims, type SigningKey } from '../tokens/signing.js';

const CLIENT = 'keyhole';
const CLIENT_SECRET = plantSecret('client-secret-91c7e2d04b');
const SESSION_SECRET = plantSecret('session-secret-7be03d51c9-7be03d51c9');
const PUBLIC_URL = 'https://codec.example.com/';

let certificates: Certificates;
let issuer: HttpsIssuer;
let key: SigningKey;
let clock: FakeClock;
let signIn: SignIn;

beforeAll(async () => {
  certificates = await makeCertificates();
  key = await signingKey('ES256', 'one');
});
beforeEach(async () => {
  issuer = await HttpsIssuer.start(certificates);
  clock = new FakeClock();
  clock.wallMs = Date.now(); // openid-client has a clock of its own
  issuer.publish(key.jwk);
  discover({});
  signIn = signInAs({});
  return () => issuer.stop();
});

function discover(more: Claims): void {
  const document = {
    issuer: issuer.url,
    authorization_endpoint: `${issuer.url}/auth`,
    token_endpoint: `${issuer.url}/token`,
    jwks_uri: issuer.jwks,
    id_token_signing_alg_values_supported: ['ES256'],
    authorization_response_iss_parameter_supported: true,
    ...more,
  };
  issuer.answers.set('/.well-known/openid-configuration', json(document));
}

function signInAs(entry: Claims, more: Partial<SignInOptions> = {}): SignIn {
  return new SignIn({
    issuer: {
      issuer: issuer.url,
      audience: ['api'],
      ca: certificates.ca,
      emailClaim: 'email',
      emailDomains: ['example.com'],
      ...entry,
    },
    clientId: CLIENT,
    clientSecret: CLIENT_SECRET,
    sessionSecret: SESSION_SECRET,
    publicUrl: PUBLIC_URL,
    origins: ['https://ui.example.com'],
    clock,
    ...more,
  });
}

interface Begun {
  readonly cookie: string;
  readonly asked: URLSearchParams;
}

async function begin(): Promise<Begun> {
  const { location, cookie } = await signIn.begin();
  return { cookie: plantSecret(cookie.split(';', 1)[0] ?? ''), asked: new URL(location).searchParams };
}

function returned({ asked }: Begun, more: Record<string, string> = {}): string {
  const state = asked.get('state') ?? '';
  return new URLSearchParams({ code: 'the-code', state, iss: issuer.url, ...more }).toString();
}

function idTokenClaims({ asked }: Begun, more: Claims = {}): Claims {
  const now = Math.floor(Date.now() / 1000);
  const about = { sub: 'idp|alice', email: 'Alice@Example.com', nonce: asked.get('nonce') };
  return { iss: issuer.url, aud: CLIENT, iat: now, exp: now + 300, ...about, ...more };
}

function tokenAnswer(idToken: string): void {
  issuer.answers.set('/token', json({ access_token: 'opaque', token_type: 'Bearer', id_token: idToken }));
}

/** A whole sign-in, with claims of the test's choice in the ID token. */
async function signedIn(more: Claims = {}): Promise<string> {
  const begun = await begin();
  tokenAnswer(await sign(key, idTokenClaims(begun, more)));
  return (await signIn.finish(returned(begun), begun.cookie)).cookie;
}

describe('a sign-in', () => {
  test('asks for a code with PKCE, state and nonce, and for the address of publicUrl', async () => {
    const { asked } = await begin();
    expect(Object.fromEntries(asked)).toMatchObject({
      client_id: CLIENT,
      response_type: 'code',
      scope: 'openid email',
      redirect_uri: 'https://codec.example.com/signin/callback',
      code_challenge_method: 'S256',
    });
    expect(['state', 'nonce', 'code_challenge'].map((name) => asked.get(name)?.length)).toEqual([43, 43, 43]);
  });

  test('ties the browser to it by a cookie that shows nothing of it', async () => {
    const { location, cookie } = await signIn.begin();
    expect(cookie).toMatch(
      /^__Host-keyhole-sign-in=[\w.-]+; Max-Age=600; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
    );
    expect(cookie).not.toContain(new URL(location).searchParams.get('state'));
  });

  test('ends in a session of whom the ID token names', async () => {
    const session = await signIn.sessions.of((await signedIn()).split(';', 1)[0]);
    expect(session?.principal).toMatchObject({
      subject: 'idp|alice',
      issuer: issuer.url,
      email: 'alice@example.com',
      method: 'session',
    });
  });

  test('has an e-mail only where the issuer may vouch for it and does', async () => {
    signIn = signInAs({ emailVerifiedClaim: 'email_verified' });
    const emailOf = async (claims: Claims): Promise<(string | undefined)[]> => {
      const session = await signIn.sessions.of((await signedIn(claims)).split(';', 1)[0]);
      return [session?.principal.email, session?.principal.noEmail];
    };
    const verified = { email_verified: true };
    expect(await emailOf(verified)).toEqual(['alice@example.com', undefined]);
    expect(await emailOf({ email_verified: 'true' })).toEqual([undefined, 'unverified']);
    expect(await emailOf({ ...verified, email: 'alice@elsewhere.org' })).toEqual([undefined, 'foreign']);
    expect(await emailOf({ ...verified, email: undefined })).toEqual([undefined, 'absent']);
  });

  test('asks for more where the configuration says so, and keeps what the ID token says of roles', async () => {
    const roleClaims = { permissions: ['permissions'], groups: ['realm_access', 'roles'] };
    signIn = signInAs({ roleClaims }, { scopes: ['openid', 'email', 'groups'], groups: ['payments'] });
    expect((await begin()).asked.get('scope')).toBe('openid email groups');
    const said = {
      permissions: ['orders:admin', 7],
      realm_access: { roles: ['payments', 'offline_access'] },
    };
    const session = await signIn.sessions.of((await signedIn(said)).split(';', 1)[0]);
    expect(session?.principal.roleClaims).toMatchObject({
      permissions: ['orders:admin'],
      groups: ['payments'],
    });
  });

  test('is refused to subjects that may not speak', async () => {
    signIn = signInAs({ subjects: () => ['other|*'] });
    await expect(signedIn()).rejects.toMatchObject({ code: 'subject_refused' });
  });

  test.each<[string, Claims]>([
    ['of another nonce', { nonce: 'another' }],
    ['without a nonce', { nonce: undefined }],
    ['of another issuer', { iss: 'https://evil.example/' }],
    ['for another client', { aud: 'another' }],
    ['for two, given to the other', { aud: [CLIENT, 'another'], azp: 'another' }],
    ['that has expired', { exp: Math.floor(Date.now() / 1000) - 60 }],
    ['without a subject', { sub: undefined }],
  ])('is refused with an ID token %s', async (_, claims) => {
    await expect(signedIn(claims)).rejects.toMatchObject({ code: 'token_invalid' });
  });

  test('is refused with an ID token that the issuer did not sign', async () => {
    const other = await signingKey('ES256', 'one');
    const ways: ((claims: Claims) => Promise<string> | string)[] = [
      (claims) => sign(other, claims),
      (claims) => forge({ alg: 'HS256', kid: 'one' }, claims, hmac(CLIENT_SECRET)),
      (claims) => forge({ alg: 'none' }, claims, () => new Uint8Array(0)),
    ];
    for (const way of ways) {
      const begun = await begin();
      tokenAnswer(await way(idTokenClaims(begun)));
      await expect(signIn.finish(returned(begun), begun.cookie)).rejects.toMatchObject({
        code: 'token_invalid',
      });
    }
  });

  test.each<[string, Record<string, string>]>([
    ['another state', { state: 'another' }],
    ['an empty state', { state: '' }],
    ['another issuer’s answer (mix-up)', { iss: 'https://evil.example' }],
    ['a refusal', { error: 'access_denied' }],
  ])('is refused for %s, before the code is exchanged', async (_, more) => {
    const begun = await begin();
    tokenAnswer(await sign(key, idTokenClaims(begun)));
    await expect(signIn.finish(returned(begun, more), begun.cookie)).rejects.toMatchObject({
      code: 'token_invalid',
    });
    expect(issuer.fetched).not.toContain('/token');
  });

  test('that another browser began is refused: nobody is signed in as somebody else (login CSRF)', async () => {
    const [own, attackers] = [await begin(), await begin()];
    tokenAnswer(await sign(key, idTokenClaims(attackers)));
    const link = returned(attackers);
    await expect(signIn.finish(link, undefined)).rejects.toMatchObject({ code: 'token_missing' });
    await expect(signIn.finish(link, own.cookie)).rejects.toMatchObject({ code: 'token_invalid' });
    expect(issuer.fetched).not.toContain('/token');
  });

  test('is refused where the cookie was tossed in, changed, or is a session’s', async () => {
    const begun = await begin();
    tokenAnswer(await sign(key, idTokenClaims(begun)));
    const session = (await signedIn()).split(';', 1)[0]?.split('=')[1] ?? '';
    for (const cookie of [
      `${begun.cookie}; ${SIGN_IN_COOKIE}=x`,
      begun.cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')).replace('=', '=A'),
      `${SIGN_IN_COOKIE}=${session}`,
    ])
      await expect(signIn.finish(returned(begun), cookie)).rejects.toMatchObject({ code: 'token_invalid' });
  });

  test('ends once, well or not: whoever copied its cookie makes us ask the issuer no second time', async () => {
    const asked = (): number => issuer.fetched.filter((path) => path === '/token').length;
    const begun = await begin();
    issuer.answers.set('/token', (response) => response.writeHead(400).end());
    const before = asked();
    await expect(signIn.finish(returned(begun), begun.cookie)).rejects.toMatchObject({
      code: 'token_invalid',
    });
    tokenAnswer(await sign(key, idTokenClaims(begun)));
    for (const again of [returned(begun), returned(begun, { code: 'another' })])
      await expect(signIn.finish(again, begun.cookie)).rejects.toThrow('this sign-in has come to its end');
    expect(asked() - before).toBe(1);
    await signedIn();
  });

  test('waits for no stranger: who ends many badly at once keeps only their own network out', async () => {
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    issuer.answers.set('/token', (response) => {
      void answered.then(() => response.writeHead(400).end());
    });
    const begun: Begun[] = [];
    while (begun.length < 40) begun.push(await begin());
    const refused: unknown[] = [];
    const endings = begun.map((one) =>
      signIn.finish(returned(one), one.cookie, '203.0.113.7').catch((error: unknown) => refused.push(error)),
    );
    await expect.poll(() => refused.length).toBe(32);
    expect(refused.every((error) => isKeyholeError(error) && error.code === 'overloaded')).toBe(true);
    await expect(signIn.begin('203.0.113.99')).rejects.toMatchObject({ code: 'overloaded' });
    expect(await signIn.begin('198.51.100.1')).toBeDefined();
    answer();
    await Promise.all(endings);
    expect(await signIn.begin('203.0.113.99')).toBeDefined();
  });

  test('has ten minutes', async () => {
    const begun = await begin();
    clock.pass(10 * 60_000);
    await expect(signIn.finish(returned(begun), begun.cookie)).rejects.toMatchObject({
      code: 'token_expired',
    });
  });

  test('waits for an issuer that does not answer, says so, and works once it does', async () => {
    issuer.answers.delete('/.well-known/openid-configuration');
    issuer.answers.set('/.well-known/openid-configuration', (response) => response.writeHead(500).end());
    for (let times = 0; times < 3; times += 1)
      await expect(signIn.begin()).rejects.toMatchObject({ code: 'jwks_unavailable' });
    expect(issuer.fetched).toHaveLength(1);
    discover({});
    clock.pass(5_000);
    const begun = await begin();
    issuer.answers.set('/token', (response) => response.writeHead(503).end());
    await expect(signIn.finish(returned(begun), begun.cookie)).rejects.toMatchObject({
      code: 'jwks_unavailable',
    });
  });

  test('is not begun at an issuer whose discovery document is another’s', async () => {
    discover({ issuer: 'https://evil.example' });
    await expect(signIn.begin()).rejects.toMatchObject({ code: 'jwks_unavailable' });
  });

  test('shows the issuer our secret in the way it takes it', async () => {
    const shown: (string | undefined)[] = [];
    const begun = await begin();
    const idToken = await sign(key, idTokenClaims(begun));
    issuer.answers.set('/token', (response, request) => {
      shown.push(request.headers.authorization?.split(' ')[0]);
      json({ access_token: 'opaque', token_type: 'Bearer', id_token: idToken })(response, request);
    });
    await signIn.finish(returned(begun), begun.cookie);
    discover({ token_endpoint_auth_methods_supported: ['client_secret_post'] });
    clock.pass(3_600_000 - 1); // the browser's ten minutes are over, the document's hour is not
    await begin();
    clock.pass(1);
    const again = await begin();
    const second = await sign(key, idTokenClaims(again));
    issuer.answers.set('/token', (response, request) => {
      shown.push(request.headers.authorization?.split(' ')[0]);
      json({ access_token: 'opaque', token_type: 'Bearer', id_token: second })(response, request);
    });
    await signIn.finish(returned(again), again.cookie);
    expect(shown).toEqual(['Basic', undefined]);
  });
});

test('a session leaves its site only where a listed origin is of another one', () => {
  const publicUrl = 'https://codec.example.com/keyhole';
  const of = (...origins: string[]): string => sameSiteFor({ publicUrl, origins });
  expect(of()).toBe('Lax');
  expect(of('https://ui.example.com', 'https://codec.example.com')).toBe('Lax');
  expect(of('https://ui.example.com', 'https://cloud.temporal.io')).toBe('None');
});
