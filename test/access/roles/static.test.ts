// Roles from a list in the configuration.
import { describe, expect, test } from 'vitest';
import { grantProblem } from '../../../src/access/roles/grants.js';
import { StaticRoles } from '../../../src/access/roles/static.js';
import { principal } from '../principals.js';

const people = {
  'Alice@Example.com': [
    'namespace:admin@orders.a1b2c',
    'inherited:read@billing.a1b2c',
    'custom:readers@orders.a1b2c',
  ],
  'owner@example.com': ['account:owner'],
};

async function rolesOf(email: string, namespace: string): Promise<readonly string[]> {
  return (await new StaticRoles({ people }).rolesOf(principal(email), namespace)).roles;
}

describe('a person', () => {
  test('holds on a namespace what is granted there', async () => {
    expect(await rolesOf('alice@example.com', 'orders.a1b2c')).toEqual(['namespace:admin', 'custom:readers']);
    expect(await rolesOf('alice@example.com', 'billing.a1b2c')).toEqual(['inherited:read']);
    expect(await rolesOf('alice@example.com', 'orders.a1b2cx')).toEqual([]);
  });

  test('holds an account role on every namespace', async () => {
    expect(await rolesOf('owner@example.com', 'anything')).toEqual(['account:owner']);
  });

  test.each(['bob@example.com', '', '__proto__', 'constructor', 'toString'])(
    'who is not listed holds nothing: %s',
    async (email) => {
      expect(await rolesOf(email, 'orders.a1b2c')).toEqual([]);
    },
  );

  test.each([
    [undefined, /carries no e-mail .*"claims.email"/],
    ['absent', /carries no e-mail .*"claims.email"/],
    ['unverified', /verified: setting "claims.emailVerified"/],
    ['foreign', /domain .*"emailDomains"/],
  ] as const)('without an e-mail that counts is told why: %s', async (noEmail, sentence) => {
    const nobody = { ...principal(undefined), ...(noEmail && { noEmail }) };
    const asked = new StaticRoles({ people }).rolesOf(nobody, 'orders.a1b2c');
    await expect(asked).rejects.toMatchObject({
      code: 'email_missing',
      message: expect.stringMatching(sentence) as string,
    });
  });

  test('may be listed once', () => {
    const make = (): unknown =>
      new StaticRoles({ people: { 'a@example.com': [], 'A@example.com': ['account:owner'] } });
    expect(make).toThrow(new TypeError('a@example.com is there twice'));
  });
});

describe('a grant', () => {
  test.each(['account:owner', 'namespace:write@orders.a1b2c', 'inherited:admin@default', 'custom:a.b-c@x'])(
    '%s is one',
    (text) => {
      expect(grantProblem(text)).toBeUndefined();
    },
  );

  test.each([
    ['', 'there is no role '],
    ['admin', 'there is no role admin'],
    ['namespace:owner@orders.a1b2c', 'there is no role namespace:owner'],
    ['namespace:admin', 'namespace:admin is held on a namespace: namespace:admin@NAMESPACE'],
    ['namespace:admin@', 'what follows the "@" of namespace:admin is not a namespace'],
    ['namespace:admin@*', 'what follows the "@" of namespace:admin is not a namespace'],
    ['namespace:admin@a@b', 'what follows the "@" of namespace:admin is not a namespace'],
    [
      'account:owner@orders.a1b2c',
      'account:owner holds on every namespace: leave out the "@" and what follows',
    ],
  ])('%j is none', (text, problem) => {
    expect(grantProblem(text)).toBe(problem);
    expect(() => new StaticRoles({ people: { 'a@example.com': [text] } })).toThrow(new TypeError(problem));
  });
});
