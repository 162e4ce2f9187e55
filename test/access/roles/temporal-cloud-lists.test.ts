// Roles by assignments and groups, for keys that see everybody's access and for keys that do not.
import { status } from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fixedApiKey } from '../../../src/access/roles/api-key.js';
import type { CloudAssignment } from '../../../src/access/roles/cloud-access.js';
import type { CloudLists, CloudOperations, Page } from '../../../src/access/roles/cloud-operations-client.js';
import {
  TemporalCloudRoles,
  type TemporalCloudRolesOptions,
} from '../../../src/access/roles/temporal-cloud.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { FakeClock } from '../../fake-clock.js';
import {
  startCloudOperations,
  type CloudMethod,
  type CloudOperationsStandIn,
  type KeyStanding,
} from '../../parts/cloud-operations.js';
import { plantSecret } from '../../streams.js';
import { KeptLog } from '../audit/kept-log.js';
import { patient, principal } from '../principals.js';

const ORDERS = 'orders.a1b2c';
const BILLING = 'billing.a1b2c';
const ALICE = 'alice@example.com';
const BOB = 'bob@example.com';
const API_KEY = plantSecret('cloud-api-key-lists-0c4d8e2f6a1b');
const unavailable = { code: 'authz_unavailable' };

let certificates: Certificates;
let cloud: CloudOperationsStandIn;
let clock: FakeClock;
let log: KeptLog;
const opened: TemporalCloudRoles[] = [];

beforeAll(async () => {
  certificates = await makeCertificates();
});
beforeEach(async () => {
  clock = new FakeClock();
  log = new KeptLog();
  cloud = await startCloudOperations({ certificates, apiKey: API_KEY });
});
afterEach(async () => {
  for (const roles of opened.splice(0)) roles.close();
  await cloud.stop();
});

function cloudRoles(options: Partial<TemporalCloudRolesOptions> = {}): TemporalCloudRoles {
  const roles = new TemporalCloudRoles({
    address: cloud.address,
    apiVersion: 'v0.13.0',
    apiKey: fixedApiKey(API_KEY),
    ca: certificates.ca,
    clock,
    logger: log,
    ...options,
  });
  opened.push(roles);
  return roles;
}

async function rolesOf(roles: TemporalCloudRoles, email = ALICE, namespace = ORDERS): Promise<string[]> {
  return [...(await roles.rolesOf(principal(email), namespace, patient())).roles].sort();
}

function askedOf(method: CloudMethod): number {
  return cloud.asked.filter((asked) => asked.method === method).length;
}

describe.each([
  ['a Namespace Admin’s key that may list people', { account: 'read', namespaces: [ORDERS] }],
  ['a Namespace Admin’s key without a role on the account', { namespaces: [ORDERS] }],
])('%s', (_which, key) => {
  const mayList = 'account' in key;

  beforeEach(() => {
    cloud.behaviour.key = key;
    cloud.behaviour.users = [
      { email: ALICE, account: 'read', namespaces: { [ORDERS]: 'admin' } },
      { email: BOB, account: 'owner' },
      { email: 'carol@example.com', account: 'developer', namespaces: { [ORDERS]: 'write' } },
      { email: 'dave@example.com', account: 'read', inherited: { [ORDERS]: 'write' } },
      { email: 'erin@example.com', account: 'read', inherited: { [ORDERS]: 0 } },
      { email: 'frank@example.com', account: 'read', namespaces: { [ORDERS]: 7 } },
      { email: 'twin@example.com', namespaces: { [ORDERS]: 'admin' } },
      { email: 'TWIN@example.com', namespaces: { [ORDERS]: 'read' } },
      { email: 'sam@example.com', state: 'suspended', namespaces: { [ORDERS]: 'admin' } },
    ];
  });

  test.each([
    ['an admin of the namespace', ALICE, ['namespace:admin']],
    ['an account owner, whose access is inherited', BOB, ['inherited:admin']],
    ['a writer', 'carol@example.com', ['namespace:write']],
    ['somebody who inherits write from a project', 'dave@example.com', ['inherited:write']],
    ['somebody who inherits nobody says what', 'erin@example.com', []],
    ['somebody with an unknown permission', 'frank@example.com', []],
    ['one of two people with one e-mail', 'twin@example.com', []],
    ['a stranger', 'mallory@example.com', []],
  ])('tells the roles of %s', async (_who, email, expected) => {
    expect(await rolesOf(cloudRoles(), email)).toEqual(expected);
  });

  test(`${mayList ? 'refuses' : 'cannot tell, and lets in,'} somebody suspended, and says so in the source`, async () => {
    const answer = await cloudRoles().rolesOf(principal('sam@example.com'), ORDERS, patient());
    expect({ roles: answer.roles, source: answer.source }).toEqual(
      mayList
        ? { roles: [], source: 'temporal-cloud' }
        : { roles: ['namespace:admin'], source: 'temporal-cloud, state of people unknown' },
    );
  });

  test('is an outage on a namespace that it is no admin of, never "no such role"', async () => {
    await expect(rolesOf(cloudRoles(), ALICE, BILLING)).rejects.toMatchObject(unavailable);
    expect(log.text).toContain(`did not tell the users of namespace ${BILLING}`);
    expect(log.text).toContain('PERMISSION_DENIED');
  });

  test('lets nobody in by a list of assignments that has no end', async () => {
    cloud.behaviour.pageSize = 1;
    cloud.behaviour.repeatsPageToken = true;
    expect(await rolesOf(cloudRoles())).toEqual([]);
    expect(log.text).toContain('has no end');
  });

  test(`gives the roles of a group to ${mayList ? 'its members' : 'nobody, whose members it is not told'}`, async () => {
    cloud.behaviour.users = [
      { email: ALICE, account: 'read', namespaces: { [ORDERS]: 'read' } },
      { email: BOB, account: 'read', namespaces: { [ORDERS]: 'read' } },
    ];
    cloud.behaviour.groups = [{ id: 'readers', namespaces: { [ORDERS]: 'admin' }, members: [ALICE] }];
    const roles = cloudRoles();
    expect(await rolesOf(roles, ALICE)).toEqual([...(mayList ? ['namespace:admin'] : []), 'namespace:read']);
    expect(await rolesOf(roles, BOB)).toEqual(['namespace:read']);
    expect(log.text.includes('the group lets nobody in')).toBe(!mayList);
  });
});

test('a key that may list people gives a group’s roles to members without access of their own', async () => {
  cloud.behaviour.key = { account: 'read', namespaces: [ORDERS] };
  cloud.behaviour.users = [{ email: ALICE, account: 'read' }];
  cloud.behaviour.groups = [{ id: 'readers', namespaces: { [ORDERS]: 'admin' }, members: [ALICE] }];
  expect(await rolesOf(cloudRoles())).toEqual(['namespace:admin']);
});

test('a key that lists people without their access is never an owner’s: a role on the account is not enough', async () => {
  cloud.behaviour.key = { account: 'developer' };
  cloud.behaviour.users = [{ email: ALICE, account: 'owner' }];
  await expect(rolesOf(cloudRoles())).rejects.toMatchObject(unavailable);
});

test('a key that becomes an owner’s is used as one with the next lists', async () => {
  cloud.behaviour.key = { account: 'read', namespaces: [ORDERS] };
  cloud.behaviour.users = [{ email: ALICE, account: 'owner' }];
  const roles = cloudRoles();
  expect(await rolesOf(roles)).toEqual(['inherited:admin']);
  cloud.behaviour.key = { account: 'owner' };
  clock.pass(60_000);
  expect(await rolesOf(roles)).toEqual(['account:owner', 'inherited:admin']);
});

describe('an owner’s key', () => {
  beforeEach(() => {
    cloud.behaviour.users = [
      { email: ALICE, account: 'read' },
      { email: BOB, account: 'read' },
    ];
  });

  test('asks for the assignments of the namespace that somebody of the account names, once while they are fresh', async () => {
    const roles = cloudRoles();
    for (const email of [ALICE, BOB, ALICE]) await rolesOf(roles, email);
    expect(askedOf('GetUserNamespaceAssignments')).toBe(1);
    expect(askedOf('GetUserGroupNamespaceAssignments')).toBe(1);
    expect(cloud.asked.filter(({ method }) => method.endsWith('Assignments'))).toMatchObject([
      { of: ORDERS },
      { of: ORDERS },
    ]);
  });

  test('sees what a role on a project gives people and groups, beside their own access', async () => {
    cloud.behaviour.users = [
      { email: ALICE, account: 'read', inherited: { [ORDERS]: 'admin' }, namespaces: { [ORDERS]: 'read' } },
      { email: BOB, account: 'read', inherited: { [BILLING]: 'admin' } },
    ];
    cloud.behaviour.groups = [
      { id: 'project writers', account: 'read', inherited: { [ORDERS]: 'write' }, members: [BOB] },
    ];
    const roles = cloudRoles();
    expect(await rolesOf(roles)).toEqual(['account:read', 'inherited:admin', 'namespace:read']);
    expect(await rolesOf(roles, BOB)).toEqual(['account:read', 'inherited:write']);
  });

  test.each([
    ['a suspended person', { state: 'suspended' }],
    ['somebody with an unknown account role', { account: 99 }],
    ['somebody with an unknown permission', { namespaces: { [ORDERS]: 9 } }],
  ])('lets %s in by no role on a project', async (_who, person) => {
    cloud.behaviour.users = [{ email: ALICE, inherited: { [ORDERS]: 'admin' }, ...person }];
    expect(await rolesOf(cloudRoles())).toEqual([]);
  });

  test('lets nobody in by an assignment to another person of the same e-mail', async () => {
    const rows = { userAssignments: [assignmentTo('somebody else', 'inherited')] };
    expect(await rolesOf(cloudRoles({ operations: new OwnersKey(rows) }))).toEqual([]);
  });

  test('cannot tell people without an id from each other: nobody is let in as one of them', async () => {
    const nobody = { state: 3, stateDeprecated: '', account: undefined, namespaces: new Map() };
    const admins = { id: 'admins', ...nobody, account: { role: 2, roleDeprecated: '', customRoles: [] } };
    for (const lists of [
      { users: [{ id: '', email: ALICE, ...nobody }], groups: [admins], members: [''] },
      { users: [{ id: '', email: ALICE, ...nobody }], userAssignments: [assignmentTo('', 'own')] },
    ])
      expect(await rolesOf(cloudRoles({ operations: new OwnersKey(lists) }))).toEqual([]);
  });

  test('counts each of two assignments to one person', async () => {
    const rows = { userAssignments: [assignmentTo('alice', 'inherited'), assignmentTo('alice', 'own')] };
    const roles = cloudRoles({ operations: new OwnersKey(rows) });
    expect(await rolesOf(roles)).toEqual(['account:read', 'inherited:admin', 'namespace:admin']);
  });

  test.each([status.PERMISSION_DENIED, status.UNIMPLEMENTED, status.NOT_FOUND])(
    'refused the assignments (%s) lets nobody in by a role on a project, says so, and counts what else is told',
    async (code) => {
      cloud.behaviour.users = [
        {
          email: ALICE,
          account: 'read',
          inherited: { [ORDERS]: 'admin' },
          namespaces: { [ORDERS]: 'write' },
        },
      ];
      cloud.behaviour.refusal = { code, of: 'GetUserNamespaceAssignments' };
      expect(await rolesOf(cloudRoles())).toEqual(['account:read', 'namespace:write']);
      expect(log.text).toContain('nobody is let in by a role on its project');
    },
  );

  test.each(['GetUserNamespaceAssignments', 'GetUserGroupNamespaceAssignments'] as const)(
    'that cannot have %s answered now is an outage, since what they tell is not known',
    async (of) => {
      cloud.behaviour.refusal = { code: status.UNAVAILABLE, of };
      await expect(rolesOf(cloudRoles())).rejects.toMatchObject(unavailable);
    },
  );

  test('adds what groups give: account, namespace, inherited and custom roles; the most permissive is among them', async () => {
    cloud.behaviour.groups = [
      { id: 'admins', account: 'admin', members: [ALICE] },
      { id: 'orders', account: 'read', namespaces: { [ORDERS]: 'write' }, members: [ALICE, BOB] },
      { id: 'custom', account: 'read', customRoles: ['payload-readers'], members: [BOB] },
      { id: 'billing', namespaces: { [BILLING]: 'admin' }, members: [ALICE, BOB] },
    ];
    const roles = cloudRoles();
    expect(await rolesOf(roles)).toEqual([
      'account:admin',
      'account:read',
      'inherited:admin',
      'namespace:write',
    ]);
    expect(await rolesOf(roles, BOB)).toEqual(['account:read', 'custom:payload-readers', 'namespace:write']);
  });

  test.each([
    ['is suspended', { state: 'suspended' }],
    ['is in a state without a name', { state: 99 }],
    ['has an unknown account role', { account: 99 }],
    ['has an unknown permission here', { namespaces: { [ORDERS]: 9 } }],
  ])('takes nothing from a group that %s', async (_what, group) => {
    cloud.behaviour.groups = [
      { id: 'admins', account: 'admin', namespaces: { [ORDERS]: 'admin' }, members: [ALICE], ...group },
    ];
    expect(await rolesOf(cloudRoles())).toEqual(['account:read']);
  });

  test('lets a suspended person in by no group', async () => {
    cloud.behaviour.users = [{ email: ALICE, state: 'suspended' }];
    cloud.behaviour.groups = [{ id: 'admins', account: 'admin', members: [ALICE] }];
    expect(await rolesOf(cloudRoles())).toEqual([]);
  });

  test('asks for the members of those groups only that give a role some rule names', async () => {
    cloud.behaviour.groups = [
      { id: 'admins', account: 'admin', members: [ALICE] },
      { id: 'everyone', account: 'read', members: [ALICE, BOB] },
    ];
    const wanted = new Set(['account:admin', 'namespace:admin']);
    expect(await rolesOf(cloudRoles({ wanted }))).toEqual(['account:admin', 'account:read']);
    expect(cloud.asked.filter(({ method }) => method === 'GetUserGroupMembers').map(({ of }) => of)).toEqual([
      'admins',
    ]);
  });

  test('that may not list groups is an outage', async () => {
    cloud.behaviour.refusal = { code: status.PERMISSION_DENIED, of: 'GetUserGroups' };
    await expect(rolesOf(cloudRoles())).rejects.toMatchObject(unavailable);
  });

  test('cannot have members listed: an outage, since what they hold is not known', async () => {
    cloud.behaviour.groups = [{ id: 'admins', account: 'admin', members: [ALICE] }];
    cloud.behaviour.refusal = { code: status.UNAVAILABLE, of: 'GetUserGroupMembers' };
    await expect(rolesOf(cloudRoles())).rejects.toMatchObject(unavailable);
  });

  test('answers as old as the oldest list that an answer rests on', async () => {
    cloud.behaviour.groups = [{ id: 'admins', account: 'admin', members: [ALICE] }];
    const roles = cloudRoles();
    await roles.warm();
    clock.pass(20_000);
    await rolesOf(roles);
    clock.pass(5_000);
    expect((await roles.rolesOf(principal(ALICE), ORDERS, patient())).ageMs).toBe(25_000);
  });
});

/** What is listed, of an account of which Alice reads; other lists are empty. */
class OwnersKey implements CloudOperations {
  readonly #lists: Partial<{ readonly [L in keyof CloudLists]: readonly CloudLists[L][] }>;

  constructor(lists: Partial<{ readonly [L in keyof CloudLists]: readonly CloudLists[L][] }>) {
    const account = { role: 5, roleDeprecated: '', customRoles: [] };
    const alice = {
      id: 'alice',
      email: ALICE,
      state: 3,
      stateDeprecated: '',
      account,
      namespaces: new Map(),
    };
    this.#lists = { users: [alice], ...lists };
  }

  page<L extends keyof CloudLists>(list: L): Promise<Page<CloudLists[L]>> {
    return Promise.resolve({ rows: this.#lists[list] ?? [], nextPageToken: '' });
  }

  accountId = (): Promise<string> => Promise.resolve('a1b2c');
  seesAccess = (): Promise<boolean> => Promise.resolve(true);
  close = (): void => undefined;
}

function assignmentTo(id: string, held: 'inherited' | 'own'): CloudAssignment {
  const access = { permission: 1, permissionDeprecated: '' };
  return { id, email: ALICE, access, inherited: held === 'inherited' };
}

test('a refused version of the API is an outage', async () => {
  cloud.behaviour.versions = ['2024-05-13-00'];
  await expect(rolesOf(cloudRoles())).rejects.toMatchObject(unavailable);
  expect(log.text).toContain('unsupported temporal-cloud-api-version');
});

test.each<[which: string, key: KeyStanding, namespace: (index: number) => string]>([
  ['an owner’s key, whatever namespace they name', { account: 'owner' }, (index) => `made-up-${index}.a1b2c`],
  [
    'a key that may list people, whatever namespace they name',
    { account: 'read', namespaces: [ORDERS] },
    (index) => `made-up-${index}.a1b2c`,
  ],
  ['a key that may not, in a namespace whose list is there', { namespaces: [ORDERS] }, () => ORDERS],
])(
  '100,000 strangers cost not one call while the lists are fresh, with %s',
  async (_which, key, namespace) => {
    cloud.behaviour.key = key;
    cloud.behaviour.users = [{ email: ALICE, account: 'read', namespaces: { [ORDERS]: 'admin' } }];
    const roles = cloudRoles();
    expect(await rolesOf(roles)).toContain('namespace:admin');
    const before = cloud.asked.length;
    for (let index = 0; index < 100_000; index += 1) {
      const stranger = principal(`stranger${index}@example.com`);
      const { roles: held } = await roles.rolesOf(stranger, namespace(index), patient());
      if (held.length > 0) throw new Error(`stranger ${index} holds ${held.join()}`);
    }
    expect(cloud.asked).toHaveLength(before);
  },
);

test('people of a namespace are all of whom the lists tell', async () => {
  cloud.behaviour.key = { namespaces: [ORDERS] };
  cloud.behaviour.users = [
    { email: BOB, namespaces: { [ORDERS]: 'read' } },
    { email: ALICE, namespaces: { [ORDERS]: 'admin' } },
    { email: 'elsewhere@example.com', namespaces: { [BILLING]: 'admin' } },
  ];
  expect(await cloudRoles().people(ORDERS, patient())).toEqual([ALICE, BOB]);
});
