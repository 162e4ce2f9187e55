// The identity provider of dev mode and tests: its tokens are what a verifier expects.
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity-provider.js';
import { PEOPLE } from '../../src/dev/people.js';
import { fetchTrusting } from '../../src/dev/trusting-fetch.js';

describe('a dev certificate', () => {
  test('is signed by its authority and names this machine', async () => {
    const certificates = await makeCertificates();
    const leaf = new X509Certificate(certificates.cert);
    const authority = new X509Certificate(certificates.ca);
    expect(leaf.verify(authority.publicKey)).toBe(true);
    expect([authority.ca, leaf.ca]).toEqual([true, false]);
    expect(leaf.checkHost('localhost')).toBe('localhost');
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(leaf.checkIP('::1')).toBe('::1');
    expect(leaf.checkHost('example.com')).toBeUndefined();
  });

  test('is valid for as long as it is told, from an hour ago', async () => {
    const now = Date.parse('2027-01-01T12:00:00Z');
    const { cert } = await makeCertificates({ now: () => now, days: 2 });
    const { validFrom, validTo } = new X509Certificate(cert);
    expect([Date.parse(validFrom), Date.parse(validTo)]).toEqual([
      Date.parse('2027-01-01T11:00:00Z'),
      Date.parse('2027-01-03T11:00:00Z'),
    ]);
  });
});

describe('the identity provider', () => {
  let certificates: Certificates;
  let provider: IdentityProvider;

  beforeAll(async () => {
    certificates = await makeCertificates();
    const unverified = { email: 'uma@example.com', name: 'Uma', emailVerified: false, subject: 'auth0|uma' };
    const people = [...PEOPLE, unverified];
    provider = await startIdentityProvider({
      certificates,
      people,
      clients: [],
      audience: 'keyhole',
      browserPort: 0,
    });
  });
  afterAll(() => provider.stop());

  const verify = async (token: string) => {
    const fetch = fetchTrusting(provider.ca);
    const keys = createRemoteJWKSet(new URL(provider.jwksUrl), {
      [customFetch]: (url, { headers, signal }) => fetch(url, { headers, signal }),
    });
    return await jwtVerify(token, keys, {
      issuer: provider.issuer,
      audience: 'keyhole',
      algorithms: ['RS256'],
    });
  };

  test('issues JWT access tokens with the claims of the person who signed in', async () => {
    const { payload, protectedHeader } = await verify(await provider.tokenFor('alice@example.com'));
    expect(protectedHeader.typ).toBe('at+jwt');
    expect(payload).toMatchObject({ sub: 'dev|alice', email: 'alice@example.com', email_verified: true });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(8 * 3600);
  });

  test('says so when an e-mail is not verified', async () => {
    const { payload } = await verify(await provider.tokenFor('uma@example.com'));
    expect(payload).toMatchObject({ sub: 'auth0|uma', email_verified: false });
  });

  test('signs nobody in whom it does not know', async () => {
    await expect(provider.tokenFor('eve@example.com')).rejects.toThrow();
  });

  test('shows the same key set and sign-in over plain http, for a browser', async () => {
    const answer = await fetch(`${provider.browserOrigin}/jwks`);
    expect(await answer.json()).toEqual(await (await fetchTrusting(provider.ca)(provider.jwksUrl)).json());
    expect((await fetch(`${provider.browserOrigin}/interaction/unknown`)).status).toBe(400);
  });
});
