// The identity provider of dev mode and tests: its tokens are what a verifier expects.
import { X509Certificate } from 'node:crypto';
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchTrusting } from '../../../src/access/outgoing/trusting-fetch.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { startIdentityProvider, type IdentityProvider } from '../../../src/dev/identity/identity-provider.js';
import { PEOPLE } from '../../../src/dev/people.js';
import { HandBrowser } from '../browser.js';

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

  test('is not served under another name than this machine’s, so that no page can be made to resolve to it', async () => {
    const { origin, port } = new URL(provider.browserOrigin);
    const answers = ['evil.example', `evil.example:${port}`, 'localhost:1', `127.0.0.1:${port}`].map((host) =>
      fetchTrusting(provider.ca)(`${origin}/jwks`, { headers: { host } }),
    );
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses).toEqual([403, 403, 403, 200]);
  });

  test('takes its form from its own page only', async () => {
    const browser = new HandBrowser(provider.ca);
    const query = new URLSearchParams({
      ...{ client_id: 'keyhole-script', redirect_uri: 'http://127.0.0.1/signed-in', response_type: 'code' },
      ...{ scope: 'openid', code_challenge: 'c'.repeat(43), code_challenge_method: 'S256' },
    });
    const begun = await browser.request(`${provider.browserOrigin}/auth?${query.toString()}`);
    const form = `${provider.browserOrigin}${begun.headers.get('location') ?? ''}`;
    for (const origin of ['http://localhost:1', 'null', provider.issuer])
      expect((await browser.submit(form, origin, { person: 'alice@example.com' })).status).toBe(403);
    const own = await browser.submit(form, provider.browserOrigin, { person: 'alice@example.com' });
    expect([own.status, own.headers.get('location')]).toEqual([303, expect.stringContaining('/auth/')]);
  });
});
