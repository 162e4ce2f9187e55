// Roles by the caller's own token, in the forms that identity providers document.
import type { JWTPayload } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { Policy } from '../../../src/access/policy.js';
import type { Principal } from '../../../src/access/principal.js';
import { TokenClaimsRoles } from '../../../src/access/roles/token-claims.js';
import type { RoleClaimPaths } from '../../../src/access/tokens/role-claims.js';
import { principalOf } from '../../../src/access/tokens/token-principal.js';
import { FakeClock } from '../../fake-clock.js';
import { patient } from '../principals.js';

const ORDERS = 'orders';
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

function caller(claims: JWTPayload, roleClaims?: RoleClaimPaths): Principal {
  const iat = Math.floor(clock.wall() / 1000);
  const options = { issuer: 'https://idp.example/', audience: ['keyhole'] };
  return principalOf(
    { sub: 'somebody', iat, exp: iat + 300, ...claims },
    { ...options, ...(roleClaims === undefined ? {} : { roleClaims }) },
    clock.wall(),
  );
}

async function rolesOf(
  claims: JWTPayload,
  paths: RoleClaimPaths = { permissions: ['permissions'] },
  groups: Readonly<Record<string, readonly string[]>> = {},
): Promise<readonly string[]> {
  const source = new TokenClaimsRoles({ groups, clock });
  return (await source.rolesOf(caller(claims, paths), ORDERS)).roles;
}

describe('permissions, as Temporal’s default claim mapper reads them', () => {
  test.each<[string, unknown, readonly string[]]>([
    ['a role on the namespace', ['orders:admin'], ['namespace:admin']],
    ['several', ['orders:read', 'orders:write'], ['namespace:read', 'namespace:write']],
    ['a role in capitals', ['orders:Admin'], ['namespace:admin']],
    ['a role on every namespace', ['temporal-system:write'], ['inherited:write']],
    ['a role on another namespace', ['billing:admin'], []],
    ['a namespace in capitals', ['Orders:admin'], []],
    ['a namespace that is called system', ['system:admin'], []],
    ['a worker', ['orders:worker', 'temporal-system:worker'], []],
    ['an unknown role', ['orders:owner'], []],
    ['a role with something behind it', ['orders:admin:x', 'orders:admin '], []],
    ['no colon', ['orders', 'admin', ''], []],
    ['a pattern', ['*:admin', 'ord*:admin', ':admin'], []],
    ['what is no string', [1, null, ['orders:admin'], { orders: 'admin' }], []],
    ['a string in place of a list', 'orders:admin', []],
    ['an object in place of a list', { 0: 'orders:admin', length: 1 }, []],
    ['nothing', undefined, []],
  ])('%s', async (_what, permissions, expected) => {
    expect(await rolesOf(permissions === undefined ? {} : { permissions })).toEqual(expected);
  });
});

describe('groups, in the form of', () => {
  const mapped = { 'payload-admins': [`namespace:admin@${ORDERS}`, 'namespace:admin@billing'] };
  test.each<[string, JWTPayload, readonly string[], Readonly<Record<string, readonly string[]>>, string[]]>([
    [
      'Keycloak: roles of the realm',
      { realm_access: { roles: ['offline_access', 'payload-admins'] } },
      ['realm_access', 'roles'],
      mapped,
      ['claim:offline_access', 'claim:payload-admins', 'namespace:admin'],
    ],
    [
      'Keycloak: roles of a client whose id has dots',
      { resource_access: { 'codec.example': { roles: ['payload-admins'] } } },
      ['resource_access', 'codec.example', 'roles'],
      mapped,
      ['claim:payload-admins', 'namespace:admin'],
    ],
    [
      'Keycloak: full paths of groups',
      { groups: ['/ops/payload-admins'] },
      ['groups'],
      { '/ops/payload-admins': [`namespace:write@${ORDERS}`] },
      ['claim:/ops/payload-admins', 'namespace:write'],
    ],
    [
      'Okta: names, with spaces',
      { groups: ['Everyone', 'Payload Admins'], scp: ['openid'] },
      ['groups'],
      { 'Payload Admins': [`namespace:admin@${ORDERS}`] },
      ['claim:Everyone', 'claim:Payload Admins', 'namespace:admin'],
    ],
    [
      'Entra: ids of groups',
      { groups: ['6f1d8a4e-0a2b-4c3d-9e5f-1a2b3c4d5e6f'] },
      ['groups'],
      { '6f1d8a4e-0a2b-4c3d-9e5f-1a2b3c4d5e6f': ['account:admin'] },
      ['account:admin', 'claim:6f1d8a4e-0a2b-4c3d-9e5f-1a2b3c4d5e6f'],
    ],
    [
      'Entra: roles of the application',
      { roles: ['Payload.Admin'] },
      ['roles'],
      { 'Payload.Admin': [`namespace:admin@${ORDERS}`] },
      ['claim:Payload.Admin', 'namespace:admin'],
    ],
    [
      'Entra: too many groups for a token, which then only says where they are',
      { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://graph.example' } } },
      ['groups'],
      mapped,
      [],
    ],
    [
      'Dex: teams of an organisation',
      { groups: ['example:payload-admins'] },
      ['groups'],
      { 'example:payload-admins': [`namespace:admin@${ORDERS}`] },
      ['claim:example:payload-admins', 'namespace:admin'],
    ],
    [
      'a claim with a name like an address',
      { 'https://idp.example/groups': ['payload-admins'] },
      ['https://idp.example/groups'],
      mapped,
      ['claim:payload-admins', 'namespace:admin'],
    ],
  ])('%s', async (_whose, claims, groups, grants, expected) => {
    expect([...(await rolesOf(claims, { groups }, grants))].sort()).toEqual(expected);
  });

  test('a group gives nothing beyond its grants and its own name', async () => {
    const groups = ['namespace:admin', `namespace:admin@${ORDERS}`, 'account:owner', '__proto__', 'a\nb'];
    expect(await rolesOf({ groups }, { groups: ['groups'] }, mapped)).toEqual([
      'claim:namespace:admin',
      `claim:namespace:admin@${ORDERS}`,
      'claim:account:owner',
      'claim:__proto__',
    ]);
  });

  test('a claim is not looked for in what every object inherits', async () => {
    expect(await rolesOf({}, { groups: ['constructor', 'prototype'], permissions: ['__proto__'] })).toEqual(
      [],
    );
  });
});

test('a rule may name a group of the token', async () => {
  const policy = new Policy({
    rules: [{ roles: ['claim:payload-admins'], may: ['decode'], namespaces: [ORDERS] }],
    source: new TokenClaimsRoles({ clock }),
  });
  const admin = caller({ groups: ['payload-admins'] }, { groups: ['groups'] });
  clock.pass(60_000);
  expect(await policy.decide(admin, 'decode', ORDERS, patient())).toMatchObject({
    allowed: true,
    role: 'claim:payload-admins',
    source: 'token-claims',
    ageMs: 60_000,
  });
  expect((await policy.decide(admin, 'decode', 'billing', patient())).allowed).toBe(false);
});

test('tokens of an issuer whose claims are not asked for give no role', async () => {
  const silent = caller({
    permissions: ['orders:admin', 'temporal-system:admin'],
    groups: ['payload-admins'],
  });
  expect((await new TokenClaimsRoles({ clock }).rolesOf(silent, ORDERS)).roles).toEqual([]);
});

test('a claim: role cannot be granted', () => {
  expect(() => new TokenClaimsRoles({ groups: { a: ['claim:b@orders'] } })).toThrow(TypeError);
});
