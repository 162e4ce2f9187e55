// One byte of a good token changed at random, very often: no changed copy is ever accepted, whatever it would mean.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TokenVerifier } from '../../../src/access/tokens/token-verifier.js';
import { makeCertificates } from '../../../src/dev/certificates.js';
import { FakeClock } from '../../fake-clock.js';
import { claimsOf, verdictOn } from '../audit/verdicts.js';
import { randomFrom, seedOfThisRun, volume, type Random } from '../random.js';
import { HttpsIssuer } from './https-issuer.js';
import { sign, signingKey } from './signing.js';

const MUTATIONS = volume(1_000_000);
const AT_ONCE = 500;
const ALGORITHMS = ['ES256', 'EdDSA', 'RS256', 'PS256'];
const SEED = seedOfThisRun();
const FORM = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';

let issuer: HttpsIssuer;
let verifier: TokenVerifier;
const tokens: string[] = [];

beforeAll(async () => {
  const certificates = await makeCertificates();
  const clock = new FakeClock();
  issuer = await HttpsIssuer.start(certificates);
  const keys = await Promise.all(ALGORITHMS.map((alg) => signingKey(alg, alg)));
  issuer.publish(...keys.map(({ jwk }) => jwk));
  const { url, jwks } = issuer;
  verifier = new TokenVerifier({
    issuers: [{ issuer: url, jwks, ca: certificates.ca, audience: ['keyhole'] }],
    clock,
  });
  for (const key of keys) tokens.push(await sign(key, claimsOf(issuer, clock)));
});
afterAll(() => issuer.stop());

/** Half of the time by a letter that a token may have, else by any byte. */
function mutated(token: string, random: Random): string {
  const at = random(token.length);
  const old = token.charAt(at);
  let byte = old;
  while (byte === old)
    byte = random(2) === 0 ? FORM.charAt(random(FORM.length)) : String.fromCharCode(random(256));
  return `${token.slice(0, at)}${byte}${token.slice(at + 1)}`;
}

function ask(token: string): Promise<string> {
  return verdictOn(token, verifier);
}

test(`of ${MUTATIONS} changed copies none is accepted (seed ${SEED})`, { timeout: 1_800_000 }, async () => {
  const random = randomFrom(SEED);
  expect(await Promise.all(tokens.map(ask))).toEqual(tokens.map(() => 'accepted'));
  const codes = new Map<string, number>();
  for (let asked = 0; asked < MUTATIONS; asked += AT_ONCE) {
    const copies = Array.from({ length: AT_ONCE }, () =>
      mutated(tokens[random(tokens.length)] ?? '', random),
    );
    for (const code of await Promise.all(copies.map(ask))) codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  const { token_invalid: invalid = 0, token_missing: missing = 0, ...others } = Object.fromEntries(codes);
  expect(others).toEqual({});
  expect(invalid + missing).toBe(MUTATIONS);
  expect(invalid).toBeGreaterThan(MUTATIONS * 0.99);
  expect(issuer.fetched.length).toBeLessThanOrEqual(2);
});
