// An issuer's keys over real HTTPS: loaded rarely, kept through an outage, never weak.
import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { JWK } from 'jose';
import type { Patience } from '../../../src/access/patience.js';
import type { IssuerOptions } from '../../../src/access/tokens/issuer-options.js';
import { signingKeys } from '../../../src/access/tokens/signing-keys.js';
import { TokenVerifier } from '../../../src/access/tokens/token-verifier.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { FakeClock } from '../../fake-clock.js';
import { KeptLog } from '../audit/kept-log.js';
import { claimsOf, verdictOn } from '../audit/verdicts.js';
import { patient } from '../principals.js';
import { HttpsIssuer, json, text, type Answer } from './https-issuer.js';
import { forge, rs256, sign, signingKey, type Claims, type SigningKey } from './signing.js';

const MINUTE_MS = 60_000;
const DISCOVERY = '/.well-known/openid-configuration';

let certificates: Certificates;
let first: SigningKey;
let second: SigningKey;
let weak: { readonly jwk: JWK; readonly privateKey: KeyObject };
let issuer: HttpsIssuer;
let clock: FakeClock;
let log: KeptLog;
let verifier: TokenVerifier;

beforeAll(async () => {
  certificates = await makeCertificates();
  [first, second] = await Promise.all([signingKey('ES256', 'first'), signingKey('ES256', 'second')]);
  weak = rsaKey(1_024);
});
beforeEach(async () => {
  clock = new FakeClock();
  log = new KeptLog();
  issuer = await HttpsIssuer.start(certificates);
  verifier = verifierOf();
});
afterEach(async () => {
  await issuer.stop();
});

function verifierOf(changed: Partial<IssuerOptions> = {}): TokenVerifier {
  const { url, jwks } = issuer;
  const options = { issuer: url, jwks, audience: ['keyhole'], ca: certificates.ca, ...changed };
  return new TokenVerifier({ issuers: [options], clock, logger: log });
}

function discovering(): TokenVerifier {
  const options = { issuer: issuer.url, audience: ['keyhole'], ca: certificates.ca };
  return new TokenVerifier({ issuers: [options], clock, logger: log });
}

function rsaKey(modulusLength: number, publicExponent = 65_537): { jwk: JWK; privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent });
  return { jwk: { ...(publicKey.export({ format: 'jwk' }) as JWK), kid: 'weak', alg: 'RS256' }, privateKey };
}

function claims(): Claims {
  return claimsOf(issuer, clock);
}

function ask(token: string, asked = verifier, patience?: Patience): Promise<string> {
  return verdictOn(token, asked, patience);
}

/** A token that was never seen before. */
async function askAs(key: SigningKey, asked = verifier): Promise<string> {
  return ask(await sign(key, { ...claims(), jti: randomUUID() }), asked);
}

/** As somebody would who waits no longer. */
async function askWithin(ms: number): Promise<string> {
  const token = await sign(first, { ...claims(), jti: randomUUID() });
  return ask(token, verifier, { signal: AbortSignal.timeout(ms) });
}

const secretKey = (): JWK => ({
  kty: 'oct',
  k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA',
  kid: 'first',
});
const manyKeys = (count: number): JWK[] =>
  Array.from({ length: count }, (_, index) => ({ ...first.jwk, kid: `k${index}` }));

const spoiled: [what: string, answer: () => Answer][] = [
  ['garbage', () => text('<html>')],
  ['nothing', () => text('')],
  ['null', () => json(null)],
  ['a list', () => json([first.jwk])],
  ['an object of keys', () => json({ keys: { first: first.jwk } })],
  ['no keys', () => json({ keys: [] })],
  ['keys that are none', () => json({ keys: [null, 'first', 1, [first.jwk]] })],
  ['101 keys', () => json({ keys: manyKeys(101) })],
  ['10,000 keys', () => json({ keys: manyKeys(10_000) })],
  [
    '10 MiB',
    () =>
      text(Buffer.concat([Buffer.from(JSON.stringify({ keys: [first.jwk] })), Buffer.alloc(10 << 20, ' ')])),
  ],
  ['a private key beside a good one', () => json({ keys: [first.jwk, { ...second.jwk, d: 'AAAA' }] })],
  ['an HMAC key beside a good one', () => json({ keys: [first.jwk, secretKey()] })],
  ['only a weak key', () => json({ keys: [weak.jwk] })],
  ['500', () => (response) => response.writeHead(500).end(JSON.stringify({ keys: [first.jwk] }))],
  ['201', () => (response) => response.writeHead(201).end(JSON.stringify({ keys: [first.jwk] }))],
  ['a redirect', () => (response) => response.writeHead(302, { location: `${issuer.url}/elsewhere` }).end()],
  [
    'half a body',
    () => (response) =>
      response.writeHead(200, { 'content-length': 1_000 }).write('{"keys":', () => response.destroy()),
  ],
  ['a closed connection', () => (response) => response.destroy()],
];

describe('an issuer that never gave good keys but', () => {
  test.each(spoiled)(
    '%s: the caller is told to come back, not that the token is bad',
    async (_what, answer) => {
      issuer.answers.set('/jwks', answer());
      issuer.answers.set('/elsewhere', json({ keys: [first.jwk] }));
      const token = await sign(first, claims());
      await expect(verifier.authenticate(`Bearer ${token}`, patient())).rejects.toMatchObject({
        code: 'jwks_unavailable',
        retryAfterMs: 30_000,
      });
      expect(issuer.fetched).toEqual(['/jwks']);
      expect(log.text).toContain('signing keys could not be loaded');
      expect(verifier.ready()).toBe(false);
    },
  );
});

describe('an issuer that once gave good keys and then', () => {
  test.each(spoiled)('%s: they are used for an hour, then no more', async (_what, answer) => {
    issuer.publish(first.jwk);
    expect(await askAs(first)).toBe('accepted');
    issuer.answers.set('/jwks', answer());
    clock.pass(59 * MINUTE_MS);
    expect(await askAs(first)).toBe('accepted');
    clock.pass(MINUTE_MS);
    expect(await askAs(first)).toBe('jwks_unavailable');
    issuer.publish(first.jwk);
    clock.pass(30_000);
    expect(await askAs(first)).toBe('accepted');
  });
});

describe('an issuer', () => {
  test('that cannot be reached is not asked more than twice a minute, whatever arrives', async () => {
    issuer.answers.set('/jwks', (response) => response.destroy());
    for (let second = 0; second < 60; second += 1) {
      const answers = await Promise.all(Array.from({ length: 5 }, () => askAs(first)));
      expect(new Set(answers)).toEqual(new Set(['jwks_unavailable']));
      clock.pass(1_000);
    }
    expect(issuer.fetched).toHaveLength(2);
  });

  test('is asked at most twice a minute for key ids that nobody knows', async () => {
    issuer.publish(first.jwk);
    const unknown = { ...second, kid: 'unknown' };
    expect(await askAs(first)).toBe('accepted');
    for (let second = 0; second < 60; second += 1) {
      clock.pass(1_000);
      expect(await askAs(unknown)).toBe('token_invalid');
    }
    expect(issuer.fetched).toHaveLength(3);
  });

  test('is asked once for 100 tokens at the same time', async () => {
    issuer.publish(first.jwk);
    const answers = await Promise.all(Array.from({ length: 100 }, () => askAs(first)));
    expect(new Set(answers)).toEqual(new Set(['accepted']));
    expect(issuer.fetched).toHaveLength(1);
  });

  test('that hangs keeps a caller no longer than the caller waits, and the next one is not asked again', async () => {
    issuer.answers.set('/jwks', () => undefined);
    const token = await sign(first, claims());
    expect(await ask(token, verifier, { signal: AbortSignal.timeout(50) })).toBe('jwks_unavailable');
    expect(await ask(token, verifier, { signal: AbortSignal.timeout(50) })).toBe('jwks_unavailable');
    expect(issuer.fetched).toHaveLength(1);
  });

  test('that hangs is given up after 3 s', async () => {
    issuer.answers.set('/jwks', () => undefined);
    expect(await askAs(first)).toBe('jwks_unavailable');
  });

  test('that hangs keeps nobody waiting whose token the old keys verify, but once for two seconds', async () => {
    const hung: ServerResponse[] = [];
    const failures = (): number => log.text.split('could not be loaded').length - 1;
    issuer.publish(first.jwk);
    await verifier.warm();
    issuer.answers.set('/jwks', (response) => hung.push(response));
    clock.pass(10 * MINUTE_MS);
    expect(await askAs(first)).toBe('accepted');
    expect(await askWithin(500)).toBe('accepted');
    hung.pop()?.destroy();
    await vi.waitFor(() => {
      expect(failures()).toBe(1);
    });
    clock.pass(30_000);
    expect(await askWithin(500)).toBe('accepted');
    await vi.waitFor(() => {
      expect(hung).toHaveLength(1);
    });
    expect(await askWithin(500)).toBe('accepted');
    hung.pop()?.destroy();
    await vi.waitFor(() => {
      expect(failures()).toBe(2);
    });
    issuer.publish(second.jwk);
    clock.pass(30_000);
    await vi.waitFor(async () => {
      expect(await askAs(first)).toBe('token_invalid');
    });
  });

  test('that failed once is waited for again two minutes later: a key that it removed since is refused', async () => {
    issuer.publish(first.jwk);
    await verifier.warm();
    issuer.answers.set('/jwks', (response) => response.destroy());
    clock.pass(6 * MINUTE_MS);
    expect(await askAs(first)).toBe('accepted');
    await vi.waitFor(() => {
      expect(log.text).toContain('could not be loaded');
    });
    issuer.publish(second.jwk);
    clock.pass(50 * MINUTE_MS);
    expect(await askAs(first)).toBe('token_invalid');
  });

  test('is asked in the background from 5 minutes on, so that nobody waits at 10', async () => {
    issuer.publish(first.jwk);
    await verifier.warm();
    clock.pass(5 * MINUTE_MS - 1);
    expect(await askAs(first)).toBe('accepted');
    expect(issuer.fetched).toHaveLength(1);
    clock.pass(1);
    expect(await askAs(first)).toBe('accepted');
    await vi.waitFor(() => {
      expect(issuer.fetched).toHaveLength(2);
    });
    issuer.publish(second.jwk);
    clock.pass(5 * MINUTE_MS - 1);
    expect(await askAs(first)).toBe('accepted');
    expect(issuer.fetched).toHaveLength(2);
  });

  test('behind a certificate that we do not trust is not believed', async () => {
    issuer.publish(first.jwk);
    const { ca } = await makeCertificates();
    expect(await askAs(first, verifierOf({ ca }))).toBe('jwks_unavailable');
    expect(issuer.fetched).toEqual([]);
  });

  test('keeps us ready without any caller: its keys are loaded anew before they are too old', async () => {
    issuer.publish(first.jwk);
    await verifier.warm();
    for (let fetches = 2; fetches < 12; fetches += 1) {
      clock.pass(11 * MINUTE_MS);
      expect(verifier.ready()).toBe(true);
      await vi.waitFor(() => {
        verifier.ready();
        expect(issuer.fetched).toHaveLength(fetches);
      });
    }
  });

  test('makes us ready once its keys are there, without any caller', async () => {
    expect(verifier.ready()).toBe(false);
    await vi.waitFor(() => {
      expect(log.lines).toHaveLength(1);
    });
    issuer.publish(first.jwk);
    clock.pass(30_000);
    expect(verifier.ready()).toBe(false);
    await vi.waitFor(() => {
      expect(verifier.ready()).toBe(true);
    });
  });
});

describe('a verifier that follows another', () => {
  const other = (): IssuerOptions => ({ issuer: 'https://other.example', audience: ['keyhole'] });
  const own = (changed: Partial<IssuerOptions> = {}): IssuerOptions => {
    const { url, jwks } = issuer;
    return { issuer: url, jwks, audience: ['keyhole'], ca: certificates.ca, ...changed };
  };
  const following = (...issuers: IssuerOptions[]): TokenVerifier =>
    new TokenVerifier({ issuers, clock, logger: log, previous: verifier });

  beforeEach(async () => {
    issuer.publish(first.jwk);
    await verifier.warm();
    issuer.answers.delete('/jwks');
  });

  test('has the keys of issuers that did not change, whatever else did', async () => {
    const next = following(other(), own({ emailDomains: ['example.com'] }));
    expect(next.ready()).toBe(true);
    expect(await askAs(first, next)).toBe('accepted');
    expect(issuer.fetched).toHaveLength(1);
  });

  test.each<[what: string, changed: () => Partial<IssuerOptions>]>([
    ['address of its keys', () => ({ jwks: `${issuer.url}/elsewhere` })],
    ['authority', () => ({ ca: `${certificates.ca}\n` })],
  ])('does not have those of an issuer with another %s', async (_what, changed) => {
    const next = following(own(changed()));
    expect(await askAs(first, next)).toBe('jwks_unavailable');
  });

  test('believes no issuer that it does not name, though the one before did', async () => {
    expect(await askAs(first, following(other()))).toBe('token_invalid');
  });

  test('judges what the one before had verified anew', async () => {
    const token = await sign(first, claims());
    expect(await ask(token)).toBe('accepted');
    expect(await ask(token, following(own({ audience: ['elsewhere'] })))).toBe('token_invalid');
  });
});

describe('a new key', () => {
  beforeEach(async () => {
    issuer.publish(first.jwk);
    await verifier.warm();
    clock.pass(30_000);
    issuer.publish(first.jwk, second.jwk);
  });

  test('is known after one fetch', async () => {
    expect(await askAs(second)).toBe('accepted');
    expect(await askAs(second)).toBe('accepted');
    expect(issuer.fetched).toHaveLength(2);
  });

  test('leaves the old one in use', async () => {
    expect(await askAs(second)).toBe('accepted');
    expect(await askAs(first)).toBe('accepted');
  });
});

describe('a removed key', () => {
  test('is refused after 10 minutes at most, also for tokens that were verified before', async () => {
    issuer.publish(first.jwk, second.jwk);
    const token = await sign(first, claims());
    expect(await ask(token)).toBe('accepted');
    issuer.publish(second.jwk);
    clock.pass(10 * MINUTE_MS - 1);
    expect(await ask(token)).toBe('accepted');
    clock.pass(1);
    expect(await ask(token)).toBe('token_invalid');
    expect(await askAs(first)).toBe('token_invalid');
  });

  test('is refused at once when the set is loaded for another reason', async () => {
    issuer.publish(first.jwk);
    const token = await sign(first, claims());
    expect(await ask(token)).toBe('accepted');
    issuer.publish(second.jwk);
    clock.pass(30_000);
    expect(await askAs(second)).toBe('accepted');
    expect(await ask(token)).toBe('token_invalid');
  });
});

describe('the age of a set', () => {
  test.each(['wallMs', 'monotonicMs'] as const)('is told by the clock that is ahead: %s', async (hand) => {
    issuer.publish(first.jwk);
    await verifier.warm();
    issuer.answers.delete('/jwks');
    clock[hand] += 60 * MINUTE_MS;
    const token = await sign(first, claims());
    expect(await ask(token)).toBe('jwks_unavailable');
  });
});

describe('discovery', () => {
  beforeEach(() => {
    issuer.publish(first.jwk);
  });

  test('tells where the keys are', async () => {
    issuer.answers.set(DISCOVERY, json({ issuer: issuer.url, jwks_uri: issuer.jwks }));
    expect(await askAs(first, discovering())).toBe('accepted');
    expect(issuer.fetched).toEqual([DISCOVERY, '/jwks']);
  });

  test.each<[what: string, document: () => unknown]>([
    ['of another issuer', () => ({ issuer: 'https://elsewhere.example', jwks_uri: issuer.jwks })],
    ['of the issuer with a slash more', () => ({ issuer: `${issuer.url}/`, jwks_uri: issuer.jwks })],
    ['without an issuer', () => ({ jwks_uri: issuer.jwks })],
    ['with keys over http', () => ({ issuer: issuer.url, jwks_uri: issuer.jwks.replace('https', 'http') })],
    ['with keys in a file', () => ({ issuer: issuer.url, jwks_uri: 'file:///etc/passwd' })],
    ['with an address that is none', () => ({ issuer: issuer.url, jwks_uri: 'https://' })],
    ['without keys', () => ({ issuer: issuer.url })],
    ['that is a list', () => []],
  ])('%s is not believed', async (_what, document) => {
    issuer.answers.set(DISCOVERY, json(document()));
    expect(await askAs(first, discovering())).toBe('jwks_unavailable');
    expect(issuer.fetched).toEqual([DISCOVERY]);
  });

  test('is asked at most twice a minute too', async () => {
    const asked = discovering();
    for (let second = 0; second < 60; second += 1) {
      expect(await askAs(first, asked)).toBe('jwks_unavailable');
      clock.pass(1_000);
    }
    expect(issuer.fetched).toEqual([DISCOVERY, DISCOVERY]);
  });
});

describe('of a key set', () => {
  test('a weak key beside a strong one is left out', async () => {
    issuer.publish(first.jwk, weak.jwk);
    expect(await askAs(first)).toBe('accepted');
    const token = forge({ alg: 'RS256', kid: 'weak' }, claims(), rs256(weak.privateKey));
    expect(await ask(token)).toBe('token_invalid');
  });

  test.each<[what: string, key: () => object]>([
    ['RSA of 1024 bits', () => weak.jwk],
    [
      'RSA of 2048 bits, the upper half of them zero',
      () => ({
        ...weak.jwk,
        n: Buffer.concat([Buffer.alloc(128), Buffer.from(weak.jwk.n ?? '', 'base64url')]).toString(
          'base64url',
        ),
      }),
    ],
    ['RSA with e = 3', () => rsaKey(2_048, 3).jwk],
    ['RSA with e = 1', () => ({ ...rsaKey(2_048).jwk, e: 'AQ' })],
    ['RSA with an even e', () => ({ ...rsaKey(2_048).jwk, e: 'AQAC' })],
    [
      'RSA with an e of 33 bytes',
      () => ({ ...rsaKey(2_048).jwk, e: Buffer.alloc(33, 1).toString('base64url') }),
    ],
    [
      'RSA of 16,392 bits',
      () => ({ ...rsaKey(2_048).jwk, n: Buffer.alloc(2_049, 0xff).toString('base64url') }),
    ],
    ['RSA without a modulus', () => ({ ...weak.jwk, n: undefined })],
    ['another curve', () => ({ ...first.jwk, alg: undefined, crv: 'secp256k1' })],
    ['a key for key agreement', () => ({ kty: 'OKP', crv: 'X25519', x: first.jwk.x })],
    ['a key for encryption', () => ({ ...first.jwk, use: 'enc' })],
    ['a key for HS256', () => ({ ...first.jwk, alg: 'HS256' })],
    ['a kind that nobody knows', () => ({ kty: 'XYZ', n: 'x' })],
  ])('%s is not used', (_what, key) => {
    expect(() => signingKeys({ keys: [key()] })).toThrow('no key that may sign tokens');
    expect(signingKeys({ keys: [key(), second.jwk] })).toEqual([second.jwk]);
  });

  test('RSA of 2048 bits with e = 65537 is used', () => {
    const { jwk } = rsaKey(2_048);
    expect(signingKeys({ keys: [jwk] })).toEqual([jwk]);
  });

  test.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])(
    'with a secret member %s nothing is used',
    (member) => {
      expect(() => signingKeys({ keys: [first.jwk, { ...second.jwk, [member]: 'AA' }] })).toThrow(
        'private or symmetric',
      );
    },
  );

  test('100 keys are used', () => {
    expect(signingKeys({ keys: manyKeys(100) })).toHaveLength(100);
  });
});
