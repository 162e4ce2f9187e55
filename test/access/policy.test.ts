// Deny unless a rule allows: what decides, what is on record, what a refusal says.
import { describe, expect, test } from 'vitest';
import { KeyholeError } from '../../src/errors.js';
import { Policy, type Action, type Rule } from '../../src/access/policy.js';
import type { RoleAnswer, RoleSource } from '../../src/access/roles/role-source.js';
import { StaticRoles } from '../../src/access/roles/static.js';
import { patient, principal } from './principals.js';

const ORDERS = 'orders.a1b2c';
const RULES: readonly Rule[] = [
  { roles: ['account:owner', 'namespace:admin'], may: ['decode', 'encode'] },
  { roles: ['namespace:write'], may: ['encode'] },
  {
    roles: ['namespace:read', 'namespace:write'],
    may: ['decode'],
    namespaces: ['test-*', 'playground.a1b2c'],
  },
];

/** Says that everybody holds these roles everywhere, or fails. */
function sourceOf(answer: readonly string[] | Error): RoleSource {
  return {
    name: 'test',
    rolesOf: (): Promise<RoleAnswer> =>
      answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ roles: answer, ageMs: 1_234 }),
    people: () => Promise.resolve(undefined),
    close: () => undefined,
  };
}

function decide(roles: readonly string[] | Error, action: Action, namespace = ORDERS, rules = RULES) {
  const policy = new Policy({ rules, source: sourceOf(roles) });
  return policy.decide(principal('alice@example.com'), action, namespace, patient());
}

describe('a rule', () => {
  test.each<[roles: string[], action: Action, namespace: string, rule: number, role: string]>([
    [['account:owner'], 'decode', ORDERS, 0, 'account:owner'],
    [['namespace:write', 'namespace:admin'], 'encode', ORDERS, 0, 'namespace:admin'],
    [['namespace:write'], 'encode', ORDERS, 1, 'namespace:write'],
    [['namespace:read'], 'decode', 'test-orders.a1b2c', 2, 'namespace:read'],
    [['namespace:write'], 'decode', 'playground.a1b2c', 2, 'namespace:write'],
  ])('allows %j to %s in %s, and is on record', async (roles, action, namespace, rule, role) => {
    const decision = await decide(roles, action, namespace);
    expect(decision).toEqual({ allowed: true, rule, role, source: 'test', ageMs: 1_234 });
  });

  test.each<[roles: string[], action: Action, namespace: string]>([
    [[], 'decode', ORDERS],
    [['namespace:write'], 'decode', ORDERS],
    [['namespace:read'], 'decode', ORDERS],
    [['namespace:read'], 'encode', 'test-orders.a1b2c'],
    [['namespace:read'], 'decode', 'playground.a1b2c.x'],
    [['namespace:read'], 'decode', 'a-test-orders.a1b2c'],
    [['account:owner'], 'download', ORDERS],
    [['account:Owner', 'owner', 'account:', '*'], 'decode', ORDERS],
  ])('that does not name it denies %j to %s in %s', async (roles, action, namespace) => {
    expect(await decide(roles, action, namespace)).toMatchObject({ allowed: false, code: 'role_missing' });
  });

  test('is needed: without one nobody may do anything', async () => {
    for (const action of ['decode', 'encode', 'download'] as const) {
      expect(await decide(['account:owner', 'namespace:admin'], action, ORDERS, [])).toMatchObject({
        allowed: false,
      });
    }
  });

  test.each<[Rule, string]>([
    [{ roles: ['namespace:superuser'], may: ['decode'] }, 'rules[1]: there is no role namespace:superuser'],
    [{ roles: ['account:owner'], may: ['read' as Action] }, 'rules[1]: there is no action read'],
    [
      { roles: ['account:owner'], may: ['decode'], namespaces: ['a*b*'] },
      'rules[1]: a*b* is no name or pattern with one *',
    ],
    [
      { roles: ['account:owner'], may: ['decode'], namespaces: [''] },
      'rules[1]:  is no name or pattern with one *',
    ],
  ])('%j is refused', (rule, message) => {
    const make = (): unknown =>
      new Policy({ rules: [{ roles: ['account:owner'], may: [] }, rule], source: sourceOf([]) });
    expect(make).toThrow(new TypeError(message));
  });
});

describe('a refusal', () => {
  test('names the roles that would do, once each, and not those held', async () => {
    expect(await decide(['namespace:read'], 'encode')).toEqual({
      allowed: false,
      code: 'role_missing',
      message: 'to encode in orders.a1b2c you need one of: account:owner, namespace:admin, namespace:write',
      source: 'test',
      ageMs: 1_234,
    });
  });

  test('names the roles that would do in this very namespace', async () => {
    const decision = await decide([], 'decode', 'playground.a1b2c');
    expect(decision).toMatchObject({
      message:
        'to decode in playground.a1b2c you need one of: account:owner, namespace:admin, namespace:read, namespace:write',
    });
  });

  test('says so where no rule is about the action', async () => {
    expect(await decide(['account:owner'], 'download')).toMatchObject({
      message: 'nobody may download in orders.a1b2c: no rule allows it',
    });
  });

  test.each(['namespace_foreign', 'email_missing'] as const)(
    'of the source with %s is a decision',
    async (code) => {
      expect(await decide(new KeyholeError(code, 'a sentence'), 'decode')).toEqual({
        allowed: false,
        code,
        message: 'a sentence',
        source: 'test',
        ageMs: 0,
      });
    },
  );

  test.each([new KeyholeError('authz_unavailable', 'not now'), new Error('a mistake of ours')])(
    'is not what a source that cannot answer leads to: %s',
    async (error) => {
      await expect(decide(error, 'decode')).rejects.toBe(error);
    },
  );
});

test('each question is asked of the source with the caller and the namespace', async () => {
  const source = new StaticRoles({ people: { 'alice@example.com': ['namespace:admin@orders.a1b2c'] } });
  const policy = new Policy({ rules: RULES, source });
  const allowed = async (email: string, namespace: string): Promise<boolean> =>
    (await policy.decide(principal(email), 'decode', namespace, patient())).allowed;
  expect(await allowed('alice@example.com', ORDERS)).toBe(true);
  expect(await allowed('alice@example.com', 'billing.a1b2c')).toBe(false);
  expect(await allowed('bob@example.com', ORDERS)).toBe(false);
});
