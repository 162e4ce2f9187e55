// Who is calling: which tokens speak for whom, and every one that does not.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FetchJson } from '../../../src/access/outgoing/fetch-json.js';
import type { Principal } from '../../../src/access/principal.js';
import { temporalCloudIssuer, type IssuerOptions } from '../../../src/access/tokens/issuer-options.js';
import { ALGORITHMS } from '../../../src/access/tokens/signing-keys.js';
import { TokenVerifier } from '../../../src/access/tokens/token-verifier.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { isKeyholeError, KeyholeError } from '../../../src/errors.js';
import { FakeClock } from '../../fake-clock.js';
import { KeptLog } from '../audit/kept-log.js';
import { answerTo, claimsOf } from '../audit/verdicts.js';
import { patient } from '../principals.js';
import { HttpsIssuer } from './https-issuer.js';
import { sign, signingKey, uncanonical, type Claims, type SigningKey } from './signing.js';

const AUDIENCE = 'keyhole';
const CLOUD_AUDIENCE = 'https://saas-api.tmprl.cloud';
const CLOUD_EMAIL = 'https://saas-api.tmprl.cloud/user/email';
const USERINFO = 'https://prod-tmprl.us.auth0.com/userinfo';

let certificates: Certificates;
let issuer: HttpsIssuer;
let key: SigningKey;
let clock: FakeClock;
let log: KeptLog;
let verifier: TokenVerifier;

beforeAll(async () => {
  certificates = await makeCertificates();
  issuer = await HttpsIssuer.start(certificates);
  key = await signingKey('ES256', 'k1');
  issuer.publish(key.jwk);
});
afterAll(async () => {
  await issuer.stop();
});
beforeEach(() => {
  clock = new FakeClock();
  log = new KeptLog();
  verifier = verifierOf();
});

function verifierOf(changed: Partial<IssuerOptions> = {}, previous?: TokenVerifier): TokenVerifier {
  const { url, jwks } = issuer;
  const options = {
    issuer: url,
    jwks,
    audience: [AUDIENCE],
    ca: certificates.ca,
    emailClaim: 'email',
    ...changed,
  };
  return new TokenVerifier({ issuers: [options], clock, logger: log, previous });
}

const nowS = (): number => clock.wall() / 1000;

function claims(changed: Claims = {}): Claims {
  return claimsOf(issuer, clock, changed);
}

/** The principal, or the code of the refusal. */
async function ask(token: string, asked = verifier): Promise<Principal | string> {
  const answer = await answerTo(token, asked);
  return isKeyholeError(answer) ? answer.code : answer;
}

async function messageOf(token: string, asked = verifier): Promise<string> {
  const answer = await answerTo(token, asked);
  return isKeyholeError(answer) ? answer.message : 'accepted';
}

describe('a good token', () => {
  test('speaks for its subject until it expires', async () => {
    expect(await ask(await sign(key, claims()))).toEqual({
      subject: 'auth0|alice',
      issuer: issuer.url,
      email: 'alice@example.com',
      method: 'bearer',
      expiresAtMs: (nowS() + 3_600) * 1_000,
    });
  });

  test.each([
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'Ed25519',
  ])('may be signed with %s', async (alg) => {
    expect(ALGORITHMS).toContain(alg);
    const [other, keys] = [await signingKey(alg, 'other'), verifierOf({ jwks: `${issuer.url}/other` })];
    issuer.answers.set('/other', (response) => response.end(JSON.stringify({ keys: [other.jwk] })));
    expect(await ask(await sign(other, claims()), keys)).toMatchObject({ subject: 'auth0|alice' });
  });

  test.each<[what: string, changed: () => Claims]>([
    ['with our audience among others', () => ({ aud: ['elsewhere', AUDIENCE] })],
    ['that expired 4 s ago: clocks differ', () => ({ iat: nowS() - 60, exp: nowS() - 4 })],
    ['that was issued in 4 s: clocks differ', () => ({ iat: nowS() + 4 })],
    ['that lives for 24 hours', () => ({ exp: nowS() + 86_400 })],
    ['without an e-mail', () => ({ email: undefined })],
  ])('%s is good', async (_what, changed) => {
    expect(await ask(await sign(key, claims(changed())))).toMatchObject({ subject: 'auth0|alice' });
  });

  test('need not name its key where the issuer has one', async () => {
    expect(await ask(await sign(key, claims(), { kid: undefined }))).toMatchObject({
      subject: 'auth0|alice',
    });
  });

  test.each(['bearer', 'BEARER', 'Bearer  '])('may come after "%s"', async (scheme) => {
    const authorization = `${scheme.trim()}${scheme.endsWith(' ') ? '  ' : ' '}${await sign(key, claims())}`;
    expect(await verifier.authenticate(authorization, patient())).toMatchObject({ subject: 'auth0|alice' });
  });
});

describe('no token', () => {
  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Basic YWxpY2U6c2VjcmV0',
    'Bearer a b',
    'a.b.c',
    'Bearer\ta.b.c',
  ])('is what %j is', async (authorization) => {
    await expect(verifier.authenticate(authorization, patient())).rejects.toMatchObject({
      code: 'token_missing',
    });
  });
});

describe('a token is refused', () => {
  test.each([6, 3_600, 86_400 * 400])('%d s after its expiry', async (seconds) => {
    const token = await sign(key, claims({ iat: nowS() - seconds - 60, exp: nowS() - seconds }));
    expect(await ask(token)).toBe('token_expired');
  });

  test('in words that say what is wrong and hold no part of it', async () => {
    expect(await messageOf(await sign(key, claims({ aud: 'secret-audience' })))).toBe(
      'the access token has a claim that is missing or not accepted: aud',
    );
    expect(await messageOf(await sign(key, claims({ iss: 'https://secret.example' })))).toBe(
      'the access token is of an issuer that is not trusted here',
    );
  });
});

test('an issuer that accepts sessions only believes no token, however good', async () => {
  const token = await sign(key, claims());
  const sessionsOnly = verifierOf({ accept: ['session'] });
  expect(await ask(token, sessionsOnly)).toBe('token_invalid');
  expect(await messageOf(token, sessionsOnly)).toContain('setting "accept" of the issuer');
  expect(await ask(token, verifierOf({ accept: ['bearer', 'session'] }))).toMatchObject({
    subject: 'auth0|alice',
  });
});

describe('an e-mail', () => {
  const principalWith = async (changed: Claims, options: Partial<IssuerOptions> = {}): Promise<Principal> => {
    const principal = await ask(await sign(key, claims(changed)), verifierOf(options));
    if (typeof principal === 'string') throw new Error(principal);
    return principal;
  };
  const emailOf = async (...asked: Parameters<typeof principalWith>): Promise<string | undefined> =>
    (await principalWith(...asked)).email;

  test('comes out in lower case', async () => {
    expect(await emailOf({ email: 'Alice.B+x@Example.COM' })).toBe('alice.b+x@example.com');
  });

  test.each([
    undefined,
    null,
    42,
    '',
    'alice',
    'alice@',
    '@example.com',
    'a@b@example.com',
    'alice @example.com',
  ])('that is %j does not count', async (email) => {
    expect(await emailOf({ email })).toBeUndefined();
  });

  test.each([
    'alice@ex\u212Aample.com',
    'alice@example.com\n',
    `${'a'.repeat(250)}@b.com`,
    'alice\0@example.com',
  ])('with characters or a length that no address has does not count: %j', async (email) => {
    expect(await emailOf({ email })).toBeUndefined();
  });

  test('that does not count is missing for a reason', async () => {
    const options = { emailVerifiedClaim: 'email_verified', emailDomains: ['example.com'] };
    const why = async (changed: Claims): Promise<unknown> =>
      (await principalWith({ email_verified: true, ...changed }, options)).noEmail;
    expect(await why({})).toBeUndefined();
    expect(await why({ email: undefined })).toBe('absent');
    expect(await why({ email: ['alice@example.com'] })).toBe('absent');
    expect(await why({ email_verified: undefined })).toBe('unverified');
    expect(await why({ email: 'alice@example.org' })).toBe('foreign');
    expect(await why({ email: 'not an address' })).toBe('foreign');
  });

  test('does not count without a claim that is configured to be one', async () => {
    const { url, jwks } = issuer;
    const options = { issuer: url, jwks, audience: [AUDIENCE], ca: certificates.ca };
    const plain = new TokenVerifier({ issuers: [options], clock });
    expect(await ask(await sign(key, claims()), plain)).toMatchObject({ email: undefined });
  });

  test.each([[undefined], [false], ['true'], [1], [null]])(
    'counts only if it is verified, where that is asked for: %j',
    async (verified) => {
      const options = { emailVerifiedClaim: 'email_verified' };
      expect(await emailOf({ email_verified: verified }, options)).toBeUndefined();
      expect(await emailOf({ email_verified: true }, options)).toBe('alice@example.com');
    },
  );

  test.each([false, 'false'])(
    'does not count where the issuer itself says that nobody verified it, asked for or not: %j',
    async (verified) => {
      expect(await emailOf({ email_verified: verified })).toBeUndefined();
      expect(await emailOf({})).toBe('alice@example.com');
    },
  );

  test.each([
    'alice@elsewhere.example',
    'alice@sub.example.com',
    'alice@example.com.evil.example',
    'alice@xexample.com',
  ])('of a domain that the issuer may not vouch for does not count: %s', async (email) => {
    const options = { emailDomains: ['Example.com', 'other.example'] };
    expect(await emailOf({ email }, options)).toBeUndefined();
    expect(await emailOf({ email: 'Alice@EXAMPLE.com' }, options)).toBe('alice@example.com');
  });
});

describe('the preset for Temporal Cloud', () => {
  const fetchKeys: FetchJson = (url) =>
    url.href === 'https://login.tmprl.cloud/.well-known/jwks.json'
      ? Promise.resolve({ keys: [key.jwk] })
      : Promise.reject(new Error(`asked for ${url.href}`));
  const cloudClaims = (changed: Claims = {}): Claims => ({
    ...claims({ iss: 'https://login.tmprl.cloud/', aud: [CLOUD_AUDIENCE, USERINFO], email: undefined }),
    [CLOUD_EMAIL]: 'alice@example.com',
    ...changed,
  });
  const cloud = (options: Parameters<typeof temporalCloudIssuer>[0] = {}): TokenVerifier =>
    new TokenVerifier({ issuers: [temporalCloudIssuer(options)], fetchJson: fetchKeys, clock });

  test('accepts its tokens, with or without the older second audience', async () => {
    expect(await ask(await sign(key, cloudClaims()), cloud())).toMatchObject({ email: 'alice@example.com' });
    expect(await ask(await sign(key, cloudClaims({ aud: CLOUD_AUDIENCE })), cloud())).toMatchObject({
      subject: 'auth0|alice',
    });
  });

  test('does not take the older audience alone', async () => {
    expect(await ask(await sign(key, cloudClaims({ aud: USERINFO })), cloud())).toBe('token_invalid');
    expect(await ask(await sign(key, cloudClaims({ aud: [USERINFO] })), cloud())).toBe('token_invalid');
  });

  test.each(['google-oauth2|1', 'windowslive|1', 'auth0|1', 'samlp|a1b2c-saml|alice@example.com'])(
    'lets %s speak',
    async (sub) => {
      expect(await ask(await sign(key, cloudClaims({ sub })), cloud({ account: 'a1b2c' }))).toMatchObject({
        subject: sub,
      });
    },
  );

  test.each([
    'samlp|z9y8x-saml|alice@example.com',
    'samlp|a1b2c-saml-2|alice@example.com',
    'samlp|a1b2cx-saml|alice',
    'samlp|a1b2c|alice',
    'SAMLP|a1b2c-saml|alice',
    'waad|alice',
    'oidc|a1b2c-saml|alice',
    'alice',
    'xauth0|1',
  ])('does not let %s speak: another customer’s sign-in may say anything', async (sub) => {
    expect(await ask(await sign(key, cloudClaims({ sub })), cloud({ account: 'a1b2c' }))).toBe(
      'subject_refused',
    );
  });

  test('lets no enterprise sign-in speak while our account is not known, and its own once it is', async () => {
    let account: string | undefined;
    const asked = cloud({ account: () => account });
    const token = await sign(key, cloudClaims({ sub: 'samlp|a1b2c-saml|alice' }));
    expect(await ask(token, asked)).toBe('subject_refused');
    account = 'a1b2c';
    expect(await ask(token, asked)).toMatchObject({ subject: 'samlp|a1b2c-saml|alice' });
    account = 'z9y8x';
    expect(await ask(token, asked)).toBe('subject_refused');
  });

  test('says which setting lets a refused subject speak, and no more of it than its prefix', async () => {
    const token = await sign(key, cloudClaims({ sub: 'samlp|z9y8x-saml|alice' }));
    expect(await messageOf(token, cloud())).toBe(
      'subjects that begin with "samlp|" are not accepted here: setting "subjects" of the issuer',
    );
    const strange = await sign(key, cloudClaims({ sub: `${'<b>\n'.repeat(20)}|alice` }));
    expect(await messageOf(strange, cloud())).toMatch(/^subjects that begin with "[\w?]{1,40}\|" are not/);
  });

  test('vouches for e-mails of the domains that are named, if any are', async () => {
    const asked = cloud({ emailDomains: ['other.example'] });
    const email = 'alice@other.example';
    expect(await ask(await sign(key, cloudClaims()), asked)).toMatchObject({ email: undefined });
    expect(await ask(await sign(key, cloudClaims({ [CLOUD_EMAIL]: email })), asked)).toMatchObject({ email });
  });

  test('takes a list of subjects instead', async () => {
    const asked = cloud({ account: 'a1b2c', subjects: ['samlp|special|*'] });
    expect(await ask(await sign(key, cloudClaims({ sub: 'samlp|special|x' })), asked)).toMatchObject({});
    expect(await ask(await sign(key, cloudClaims({ sub: 'auth0|1' })), asked)).toBe('subject_refused');
  });
});

describe('several issuers', () => {
  test('are believed of their own tokens only', async () => {
    const other = await HttpsIssuer.start(certificates);
    const otherKey = await signingKey('ES256', 'k1');
    other.publish(otherKey.jwk);
    const common = { ca: certificates.ca };
    const both = new TokenVerifier({
      issuers: [
        {
          ...common,
          issuer: issuer.url,
          jwks: issuer.jwks,
          audience: [AUDIENCE],
          emailDomains: ['example.com'],
        },
        {
          ...common,
          issuer: other.url,
          jwks: other.jwks,
          audience: ['other'],
          emailDomains: ['other.example'],
        },
      ],
      clock,
    });
    expect(await ask(await sign(key, claims()), both)).toMatchObject({ issuer: issuer.url });
    expect(await ask(await sign(otherKey, claims({ iss: other.url, aud: 'other' })), both)).toMatchObject({
      issuer: other.url,
    });
    expect(await ask(await sign(otherKey, claims()), both)).toBe('token_invalid');
    expect(await ask(await sign(key, claims({ iss: other.url, aud: 'other' })), both)).toBe('token_invalid');
    expect(await ask(await sign(otherKey, claims({ iss: other.url })), both)).toBe('token_invalid');
    await other.stop();
  });

  const good: IssuerOptions = { issuer: 'https://idp.example', audience: ['keyhole'] };
  test.each<[what: string, issuers: IssuerOptions[]]>([
    ['none', []],
    ['one twice', [good, good]],
    ['one over http', [{ ...good, issuer: 'http://idp.example' }]],
    ['keys over http', [{ ...good, jwks: 'http://idp.example/jwks' }]],
    ['one without an audience', [{ ...good, audience: [] }]],
    ['an audience that is a star', [{ ...good, audience: ['*'] }]],
    [
      'a domain of two',
      [
        { ...good, emailDomains: ['example.com'] },
        { ...good, issuer: 'https://b.example', emailDomains: ['EXAMPLE.com'] },
      ],
    ],
  ])('must not be %s', (_what, issuers) => {
    expect(() => new TokenVerifier({ issuers })).toThrow(TypeError);
  });
});

describe('a token that was verified', () => {
  test('is remembered, so that a burst costs one check', async () => {
    const token = await sign(key, claims());
    const first = await ask(token);
    expect(await ask(token)).toBe(first);
  });

  test('is checked once for all who bring it meanwhile, and anew after a failure', async () => {
    const token = await sign(key, claims());
    const [first, second] = await Promise.all([ask(token), ask(token)]);
    expect(second).toBe(first);
    expect(first).toMatchObject({ subject: 'auth0|alice' });
    const early = await sign(key, claims({ iat: nowS() + 60, exp: nowS() + 120 }));
    expect(await Promise.all([ask(early), ask(early)])).toEqual(['token_invalid', 'token_invalid']);
    clock.pass(60_000);
    expect(await ask(early)).toMatchObject({ subject: 'auth0|alice' });
  });

  test('speaks for one who may not wait; of another one the check is not begun', async () => {
    const [token, other] = await Promise.all([sign(key, claims()), sign(key, claims({ sub: 'auth0|bob' }))]);
    const first = await ask(token);
    const fetched = issuer.fetched.length;
    clock.pass(599_000);
    const mayNotWait = { signal: AbortSignal.abort(new KeyholeError('overloaded', 'too many wait')) };
    expect(await answerTo(token, verifier, mayNotWait)).toBe(first);
    clock.pass(2_000); // the key set is due as well
    expect(await answerTo(other, verifier, mayNotWait)).toMatchObject({ code: 'overloaded' });
    expect(issuer.fetched).toHaveLength(fetched);
  });

  test('is checked again after 10 minutes, and by whoever takes the verifier’s place, as at a SIGHUP', async () => {
    const token = await sign(key, claims());
    const first = await ask(token);
    clock.pass(600_000);
    const second = await ask(token);
    expect(second).not.toBe(first);
    expect(second).toEqual(first);
    expect(await ask(token, verifierOf({}, verifier))).not.toBe(second);
  });

  test('is refused once it expires', async () => {
    const token = await sign(key, claims({ exp: nowS() + 60 }));
    expect(await ask(token)).toMatchObject({ subject: 'auth0|alice' });
    clock.pass(66_000);
    expect(await ask(token)).toBe('token_expired');
  });

  test('is refused if its expiry is behind the wall clock, whatever the monotonic one says', async () => {
    const token = await sign(key, claims({ exp: nowS() + 60 }));
    await ask(token);
    clock.wallMs += 66_000;
    expect(await ask(token)).toBe('token_expired');
  });

  test('does not let a changed copy of it in', async () => {
    const token = await sign(key, claims());
    await ask(token);
    expect(await ask(uncanonical(token))).toBe('token_invalid');
  });
});
