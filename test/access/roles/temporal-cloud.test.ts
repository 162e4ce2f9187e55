// Roles of Temporal Cloud users, asked over gRPC and TLS of our stand-in for the Cloud Operations API.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Policy, type Rule } from '../../../src/access/policy.js';
import { apiKeyFile, fixedApiKey } from '../../../src/access/roles/api-key.js';
import type { CloudUser } from '../../../src/access/roles/cloud-access.js';
import type { CloudLists, CloudOperations, Page } from '../../../src/access/roles/cloud-operations-client.js';
import {
  TemporalCloudRoles,
  type TemporalCloudRolesOptions,
} from '../../../src/access/roles/temporal-cloud.js';
import { systemClock } from '../../../src/clock.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { FakeClock } from '../../fake-clock.js';
import {
  startCloudOperations,
  type CloudMethod,
  type CloudOperationsStandIn,
  type CloudPerson,
} from '../../parts/cloud-operations.js';
import { plantSecret } from '../../streams.js';
import { KeptLog } from '../audit/kept-log.js';
import { patient, principal } from '../principals.js';

const ORDERS = 'orders.a1b2c';
const FOREIGN = 'orders.z9y8x';
const API_KEY = plantSecret('cloud-api-key-7f3a9c1e5b2d');
const ALICE = 'alice@example.com';
/** An owner's roles on every namespace of the account: the namespace's own list tells what is inherited. */
const OWNER = ['account:owner', 'inherited:admin'];
const SEED_RULES: readonly Rule[] = [
  {
    roles: ['account:owner', 'account:admin', 'inherited:admin', 'namespace:admin'],
    may: ['decode', 'encode', 'download'],
  },
  { roles: ['inherited:write', 'namespace:write'], may: ['encode'] },
];

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
    apiVersion: 'v0.3.0',
    apiKey: fixedApiKey(API_KEY),
    ca: certificates.ca,
    clock,
    logger: log,
    ...options,
  });
  opened.push(roles);
  return roles;
}

async function rolesOf(
  roles: TemporalCloudRoles,
  email = ALICE,
  namespace = ORDERS,
): Promise<readonly string[]> {
  return (await roles.rolesOf(principal(email), namespace, patient())).roles;
}

function askedOf(method: CloudMethod): number {
  return cloud.asked.filter((asked) => asked.method === method).length;
}

const unavailable = { code: 'authz_unavailable', retryAfterMs: 1_000 };

describe.each(['2024-05-13-00', 'v0.3.0'])('with version %s of the API', (apiVersion) => {
  const people: [who: string, person: Omit<CloudPerson, 'email'>, may: 'decode' | 'encode' | 'nothing'][] = [
    ['an account owner without a role on the namespace', { account: 'owner' }, 'decode'],
    ['an account admin without a role on the namespace', { account: 'admin' }, 'decode'],
    ['a namespace admin', { account: 'read', namespaces: { [ORDERS]: 'admin' } }, 'decode'],
    ['a namespace admin without access to the account', { namespaces: { [ORDERS]: 'admin' } }, 'decode'],
    ['a namespace writer', { account: 'read', namespaces: { [ORDERS]: 'write' } }, 'encode'],
    ['a namespace reader', { account: 'read', namespaces: { [ORDERS]: 'read' } }, 'nothing'],
    ['an account developer', { account: 'developer' }, 'nothing'],
    ['an account reader', { account: 'read' }, 'nothing'],
    ['a finance admin', { account: 'finance_admin' }, 'nothing'],
    ['somebody who reads metrics', { account: 'metrics_read' }, 'nothing'],
    [
      'an admin of another namespace',
      { account: 'read', namespaces: { 'billing.a1b2c': 'admin' } },
      'nothing',
    ],
    ['an admin of a namespace in another case', { namespaces: { 'Orders.a1b2c': 'admin' } }, 'nothing'],
    ['somebody without any access', {}, 'nothing'],
    ['a suspended owner', { account: 'owner', state: 'suspended' }, 'nothing'],
    ['a deleted owner', { account: 'owner', state: 'deleted' }, 'nothing'],
    ['an owner in a state without a name', { account: 'owner', state: 99 }, 'nothing'],
    ['an owner without a state', { account: 'owner', state: 0 }, 'nothing'],
    [
      'an unknown account role with a role on the namespace',
      { account: 99, namespaces: { [ORDERS]: 'admin' } },
      'nothing',
    ],
    [
      'an owner with an unknown permission on the namespace',
      { account: 'owner', namespaces: { [ORDERS]: 7 } },
      'nothing',
    ],
    [
      'an owner with an unknown permission elsewhere',
      { account: 'owner', namespaces: { 'billing.a1b2c': 7 } },
      'decode',
    ],
    ['a role that only looks like one', { account: 'Owner', namespaces: { [ORDERS]: 'Admin' } }, 'nothing'],
    ['somebody with a custom role only', { account: 'read', customRoles: ['payload-readers'] }, 'nothing'],
  ];

  test.each(people)('%s', async (_who, person, may) => {
    cloud.behaviour.users = [
      { email: ALICE, ...person },
      { email: 'bob@example.com', account: 'owner' },
    ];
    const policy = new Policy({ rules: SEED_RULES, source: cloudRoles({ apiVersion }) });
    const [decode, encode] = await Promise.all(
      (['decode', 'encode'] as const).map((action) =>
        policy.decide(principal(ALICE), action, ORDERS, patient()),
      ),
    );
    expect({ decode: decode?.allowed, encode: encode?.allowed }).toEqual({
      decode: may === 'decode',
      encode: may !== 'nothing',
    });
    expect(new Set(cloud.asked.map((asked) => asked.apiVersion))).toEqual(new Set([apiVersion]));
  });
});

describe('the list of users', () => {
  test('is asked for with our key, its version and a thousand people a page', async () => {
    await rolesOf(cloudRoles({ account: 'a1b2c' }));
    expect(cloud.asked.filter(({ method }) => method === 'GetUsers')).toMatchObject([
      {
        method: 'GetUsers',
        authorization: `Bearer ${API_KEY}`,
        apiVersion: 'v0.3.0',
        pageSize: 1_000,
        pageToken: '',
      },
    ]);
  });

  test('is read to the last of 30 pages', async () => {
    const others = Array.from({ length: 29 }, (_, index) => ({ email: `user${index}@example.com` }));
    cloud.behaviour.users = [...others, { email: ALICE, account: 'owner' }];
    cloud.behaviour.pageSize = 1;
    expect(await rolesOf(cloudRoles())).toEqual(OWNER);
    expect(askedOf('GetUsers')).toBe(30);
  });

  test('is asked for no faster than 10 pages a second once the first 40 are through', async () => {
    cloud.behaviour.users = Array.from({ length: 46 }, (_, index) => ({ email: `user${index}@example.com` }));
    cloud.behaviour.pageSize = 1;
    await rolesOf(cloudRoles({ account: 'a1b2c', clock: systemClock }));
    const atMs = cloud.asked.map((asked) => asked.atMs);
    expect(askedOf('GetUsers')).toBe(46);
    expect((atMs.at(-1) ?? 0) - (atMs[0] ?? 0)).toBeGreaterThan((atMs.length - 41) * 100 - 50);
  });

  test('may have pages larger than gRPC takes by default', async () => {
    const namespaces = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`a-rather-long-namespace-name-${index}.a1b2c`, 'read']),
    );
    const others = Array.from({ length: 999 }, (_, index) => ({
      email: `user${index}@example.com`,
      namespaces,
    }));
    cloud.behaviour.users = [...others, { email: ALICE, account: 'owner' }];
    expect(await rolesOf(cloudRoles())).toEqual(OWNER);
  });

  test('finds people whatever the case of their e-mail', async () => {
    cloud.behaviour.users = [{ email: 'Alice@Example.COM', account: 'owner' }];
    expect(await rolesOf(cloudRoles())).toEqual(OWNER);
  });

  test('does not fold letters beyond ASCII', async () => {
    cloud.behaviour.users = [{ email: 'mi\u212Ae@example.com', account: 'owner' }]; // the Kelvin sign, k in lower case
    expect(await rolesOf(cloudRoles(), 'mike@example.com')).toEqual([]);
  });

  test('with two people of one e-mail gives neither a role', async () => {
    cloud.behaviour.users = [
      { email: ALICE, account: 'owner' },
      { email: 'ALICE@example.com', account: 'read' },
    ];
    expect(await rolesOf(cloudRoles())).toEqual([]);
  });

  test('that goes round in a circle lets nobody in, and is asked for again after 5 s', async () => {
    cloud.behaviour.users = [
      { email: ALICE, account: 'owner' },
      { email: 'b@example.com' },
      { email: 'c@example.com' },
    ];
    cloud.behaviour.pageSize = 1;
    cloud.behaviour.repeatsPageToken = true;
    const roles = cloudRoles();
    expect(await rolesOf(roles)).toEqual([]);
    expect(askedOf('GetUsers')).toBe(2);
    expect(log.text).toContain('has no end');
    cloud.behaviour.repeatsPageToken = false;
    expect(await rolesOf(roles)).toEqual([]);
    clock.pass(5_000);
    expect(await rolesOf(roles)).toEqual(OWNER);
  });

  test('ends at 300 pages, and lets nobody in if it had more', async () => {
    const endless = new EndlessOperations();
    const roles = cloudRoles({ operations: endless });
    expect(await rolesOf(roles)).toEqual([]);
    expect(endless.pages).toBe(300);
  });
});

/** Every page of users has an owner, and a next one; there are no groups. */
class EndlessOperations implements CloudOperations {
  pages = 0;

  page<L extends keyof CloudLists>(list: L): Promise<Page<CloudLists[L]>> {
    if (list !== 'users') return Promise.resolve({ rows: [], nextPageToken: '' });
    this.pages += 1;
    const owner: CloudUser = {
      id: `id ${this.pages}`,
      email: this.pages === 1 ? ALICE : `user${this.pages}@example.com`,
      state: 3,
      stateDeprecated: '',
      account: { role: 1, roleDeprecated: '', customRoles: [] },
      namespaces: new Map(),
    };
    return Promise.resolve({ rows: [owner as CloudLists[L]], nextPageToken: `page ${this.pages}` });
  }

  accountId(): Promise<string> {
    return Promise.resolve('a1b2c');
  }

  seesAccess(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): void {
    return undefined;
  }
}

describe('our account', () => {
  beforeEach(() => {
    cloud.behaviour.users = [
      { email: ALICE, account: 'owner', namespaces: { [FOREIGN]: 'admin' } },
      { email: 'bob@example.com', namespaces: { [ORDERS]: 'admin' } },
    ];
  });

  test('configured, has a namespace of another one refused before the API is asked', async () => {
    const roles = cloudRoles({ account: 'a1b2c' });
    await expect(rolesOf(roles, ALICE, FOREIGN)).rejects.toMatchObject({
      code: 'namespace_foreign',
      message: `namespace ${FOREIGN} belongs to another account`,
    });
    expect(cloud.asked).toEqual([]);
  });

  test('learnt from the API, has it refused too, and then without asking', async () => {
    const roles = cloudRoles();
    await expect(rolesOf(roles, ALICE, FOREIGN)).rejects.toMatchObject({ code: 'namespace_foreign' });
    expect(new Set(cloud.asked.map(({ method }) => method))).toEqual(
      new Set(['GetCurrentIdentity', 'GetAccount', 'GetUsers']),
    );
    clock.pass(400_000);
    await expect(rolesOf(roles, ALICE, FOREIGN)).rejects.toMatchObject({ code: 'namespace_foreign' });
    expect(cloud.asked).toHaveLength(3);
    expect(roles.account()).toBe('a1b2c');
  });

  test.each(['default', 'ordersa1b2c', 'a1b2c', 'orders.a1b2c.x', 'orders.A1B2C'])(
    'does not own the namespace %s',
    async (namespace) => {
      const roles = cloudRoles({ account: 'a1b2c' });
      await expect(rolesOf(roles, ALICE, namespace)).rejects.toMatchObject({ code: 'namespace_foreign' });
    },
  );

  test.each([status.PERMISSION_DENIED, status.UNIMPLEMENTED])(
    'that our key may not know (%s) leaves account roles granting nothing, and says so',
    async (code) => {
      cloud.behaviour.refusal = { code, of: 'GetAccount' };
      const roles = cloudRoles();
      expect(await rolesOf(roles, ALICE)).toEqual([]);
      expect(await rolesOf(roles, 'bob@example.com')).toEqual(['namespace:admin']);
      expect(roles.account()).toBeUndefined();
      expect(log.text).toContain('account roles grant nothing');
    },
  );

  test.each(['', 'a1b2c.x', 'a*', 'a b'])('is unknown if the API calls it "%s"', async (account) => {
    cloud.behaviour.account = account;
    const roles = cloudRoles();
    expect(await rolesOf(roles, ALICE)).toEqual([]);
    expect(roles.account()).toBeUndefined();
  });

  test('configured as another than that of our key lets nobody in, and says so', async () => {
    cloud.behaviour.account = 'z9y8x';
    await expect(rolesOf(cloudRoles({ account: 'a1b2c' }))).rejects.toMatchObject(unavailable);
    expect(log.text).toContain('our API key belongs to another account');
  });

  test('that cannot be asked for now is an outage', async () => {
    cloud.behaviour.refusal = { code: status.UNAVAILABLE, of: 'GetAccount' };
    await expect(rolesOf(cloudRoles())).rejects.toMatchObject(unavailable);
  });

  test('is looked up by whoever needs it first, even if nobody asks for roles', async () => {
    const roles = cloudRoles();
    expect(roles.account()).toBeUndefined();
    await vi.waitFor(() => {
      expect(roles.account()).toBe('a1b2c');
    });
    expect(askedOf('GetAccount')).toBe(1);
  });

  test('is told again with each list: a key of another account brings its own', async () => {
    const roles = cloudRoles();
    expect(await rolesOf(roles)).toEqual(OWNER);
    cloud.behaviour.account = 'z9y8x';
    clock.pass(60_000);
    await expect(rolesOf(roles)).rejects.toMatchObject({ code: 'namespace_foreign' });
  });
});

describe('one load', () => {
  beforeEach(() => {
    cloud.behaviour.users = [{ email: ALICE, account: 'owner' }];
  });

  test('serves 150 who ask at the same time', async () => {
    const roles = cloudRoles({ account: 'a1b2c' });
    const answers = await Promise.all(Array.from({ length: 150 }, () => rolesOf(roles)));
    expect(new Set(answers.map(String))).toEqual(new Set([OWNER.join()]));
    expect(askedOf('GetUsers')).toBe(1);
  });

  test('outlives the caller who began it and serves the next', async () => {
    let open: (value?: undefined) => void = () => undefined;
    cloud.behaviour.gate = new Promise((resolve) => (open = resolve));
    const roles = cloudRoles({ account: 'a1b2c' });
    const impatient = new AbortController();
    const first = roles.rolesOf(principal(ALICE), ORDERS, impatient);
    await vi.waitFor(() => {
      expect(cloud.asked).toHaveLength(1);
    });
    impatient.abort();
    await expect(first).rejects.toMatchObject(unavailable);
    open();
    expect(await rolesOf(roles)).toEqual(OWNER);
    expect(askedOf('GetUsers')).toBe(1);
  });

  test('of the account’s lists is done at the start by warm, so that the first caller waits for the namespace’s alone', async () => {
    const roles = cloudRoles();
    await roles.warm();
    const asked = cloud.asked.length;
    expect(await rolesOf(roles)).toEqual(OWNER);
    expect(cloud.asked.slice(asked)).toMatchObject([
      { method: 'GetUserNamespaceAssignments', of: ORDERS },
      { method: 'GetUserGroupNamespaceAssignments', of: ORDERS },
    ]);
  });

  test('of the first ten namespaces that are named is done by warm too, of none of another account', async () => {
    const roles = cloudRoles();
    const others = Array.from({ length: 10 }, (_, at) => `n${at}.a1b2c`);
    await roles.warm(['orders.other', ORDERS, ...others]);
    const asked = cloud.asked.length;
    expect(await rolesOf(roles)).toEqual(OWNER);
    expect(cloud.asked).toHaveLength(asked);
    expect(askedOf('GetUserNamespaceAssignments')).toBe(10);
    expect(cloud.asked.map(({ of }) => of)).not.toContain('orders.other');
  });
});

describe('an answer', () => {
  let roles: TemporalCloudRoles;

  beforeEach(async () => {
    cloud.behaviour.users = [{ email: ALICE, account: 'owner' }];
    roles = cloudRoles({ account: 'a1b2c' });
    await rolesOf(roles);
  });

  test('is used for 30 s without asking again, and tells its age', async () => {
    clock.pass(29_999);
    const { roles: held, ageMs } = await roles.rolesOf(principal(ALICE), ORDERS, patient());
    expect({ held, ageMs, asked: askedOf('GetUsers') }).toEqual({
      held: OWNER,
      ageMs: 29_999,
      asked: 1,
    });
  });

  test('in use is loaded anew in the background after 30 s', async () => {
    clock.pass(30_000);
    expect(await rolesOf(roles)).toEqual(OWNER);
    await vi.waitFor(async () => {
      expect((await roles.rolesOf(principal(ALICE), ORDERS, patient())).ageMs).toBe(0);
    });
    expect(askedOf('GetUsers')).toBe(2);
  });

  test('of somebody who lost their role is no longer used after 60 s', async () => {
    cloud.behaviour.users = [{ email: ALICE, account: 'read' }];
    clock.pass(60_000);
    expect(await rolesOf(roles)).toEqual(['account:read']);
  });

  test('of somebody who left is gone at once with the next list', async () => {
    cloud.behaviour.users = [];
    clock.pass(60_000);
    expect(await rolesOf(roles)).toEqual([]);
  });

  test('is used for 300 s while the API is down, then nobody is let in', async () => {
    await cloud.down();
    clock.pass(299_000);
    const { roles: held, ageMs } = await roles.rolesOf(principal(ALICE), ORDERS, patient());
    expect({ held, ageMs }).toEqual({ held: OWNER, ageMs: 299_000 });
    clock.pass(1_000);
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
  });

  test.each(['wallMs', 'monotonicMs'] as const)('ages by the clock that is ahead: %s', async (hand) => {
    await cloud.down();
    clock[hand] += 300_000;
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
  });

  test('does not become younger when the wall clock goes back', async () => {
    clock.wallMs -= 3_600_000;
    clock.monotonicMs += 20_000;
    expect((await roles.rolesOf(principal(ALICE), ORDERS, patient())).ageMs).toBe(20_000);
  });
});

describe('an API that does not answer as it should', () => {
  beforeEach(() => {
    cloud.behaviour.users = [{ email: ALICE, account: 'owner' }];
  });

  test.each([
    status.UNAUTHENTICATED,
    status.PERMISSION_DENIED,
    status.RESOURCE_EXHAUSTED,
    status.UNAVAILABLE,
    status.INTERNAL,
    status.NOT_FOUND,
  ])('with status %s is an outage, never "no such user"', async (code) => {
    cloud.behaviour.refusal = { code };
    await expect(rolesOf(cloudRoles({ account: 'a1b2c' }))).rejects.toMatchObject(unavailable);
    expect(log.text).toContain(status[code]);
  });

  test('refusing our key is asked once, and what it says of the key is not logged', async () => {
    cloud.behaviour.refusal = { code: status.UNAUTHENTICATED, details: `no such key: ${API_KEY}\n` };
    await expect(rolesOf(cloudRoles({ account: 'a1b2c' }))).rejects.toMatchObject(unavailable);
    expect(cloud.asked.length).toBe(1);
    expect(log.text).toContain('no such key: …');
    expect(log.text).not.toContain(API_KEY);
  });

  test('throttling us is asked three times at most', async () => {
    cloud.behaviour.refusal = { code: status.RESOURCE_EXHAUSTED };
    await expect(rolesOf(cloudRoles({ account: 'a1b2c' }))).rejects.toMatchObject(unavailable);
    expect(cloud.asked.length).toBe(3);
  });

  test('is not asked again within a second of a failure', async () => {
    cloud.behaviour.refusal = { code: status.UNAUTHENTICATED };
    const roles = cloudRoles({ account: 'a1b2c' });
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
    expect(cloud.asked.length).toBe(1);
    clock.pass(1_000);
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
    expect(cloud.asked.length).toBe(2);
  });

  test('slow, keeps a caller no longer than the caller waits', async () => {
    cloud.behaviour.gate = new Promise(() => undefined);
    const roles = cloudRoles({ account: 'a1b2c' });
    await expect(
      roles.rolesOf(principal(ALICE), ORDERS, { signal: AbortSignal.timeout(50) }),
    ).rejects.toMatchObject(unavailable);
  });

  test('slow, keeps nobody for more than a second who can be served with the old list', async () => {
    const roles = cloudRoles({ account: 'a1b2c' });
    await rolesOf(roles);
    cloud.behaviour.gate = new Promise(() => undefined);
    clock.pass(100_000);
    const { roles: held, ageMs } = await roles.rolesOf(principal(ALICE), ORDERS, patient());
    expect({ held, ageMs }).toEqual({ held: OWNER, ageMs: 100_000 });
    const started = performance.now();
    await Promise.all(Array.from({ length: 20 }, () => rolesOf(roles)));
    expect(performance.now() - started).toBeLessThan(900);
  });

  test('so slow that what it tells is too old when it comes, tells nothing', async () => {
    let open: (() => void) | undefined;
    cloud.behaviour.gate = new Promise<void>((resolve) => (open = resolve));
    const roles = cloudRoles({ account: 'a1b2c', freshMs: 1_000, staleMs: 2_000 });
    const asked = rolesOf(roles);
    await vi.waitUntil(() => cloud.asked.length > 0);
    clock.pass(2_000);
    open?.();
    await expect(asked).rejects.toMatchObject(unavailable);
    clock.pass(1_000);
    expect(await rolesOf(roles)).toEqual(OWNER);
  });

  test('that was down serves again within 5 s of its return', async () => {
    const roles = cloudRoles({ account: 'a1b2c' });
    await roles.warm();
    await cloud.down();
    clock.pass(300_000);
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
    await cloud.up();
    await vi.waitFor(
      async () => {
        clock.pass(1_000);
        expect(await rolesOf(roles)).toEqual(OWNER);
      },
      { timeout: 5_000 },
    );
  });

  test('behind a certificate that we do not trust is not asked', async () => {
    const { ca } = await makeCertificates();
    await expect(rolesOf(cloudRoles({ account: 'a1b2c', ca }))).rejects.toMatchObject(unavailable);
    expect(cloud.asked).toEqual([]);
  });

  test('under another name than its certificate’s is not asked', async () => {
    await cloud.stop();
    const other = await makeCertificates({ dns: ['elsewhere.example'], addresses: [] });
    cloud = await startCloudOperations({ certificates: other });
    await expect(rolesOf(cloudRoles({ account: 'a1b2c', ca: other.ca }))).rejects.toMatchObject(unavailable);
    expect(cloud.asked).toEqual([]);
  });

  test('is not asked after the end', async () => {
    const roles = cloudRoles({ account: 'a1b2c' });
    roles.close();
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
    expect(cloud.asked).toEqual([]);
  });
});

describe('our API key', () => {
  test('in a file is read anew for each call', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'keyhole-api-key-'));
    const path = join(directory, 'key');
    cloud.behaviour.users = [{ email: ALICE, account: 'owner' }];
    const roles = cloudRoles({ account: 'a1b2c', apiKey: apiKeyFile(path) });
    await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
    expect(log.text).toContain(`the API key file ${path} cannot be read`);
    await writeFile(path, `${API_KEY}\n`);
    clock.pass(1_000);
    expect(await rolesOf(roles)).toEqual(OWNER);
    await rm(directory, { recursive: true });
  });

  test.each(['two\nlines of a secret', '', plantSecret('secret kéy with an accent')])(
    'that no header can carry is refused without quoting it',
    (key) => {
      const make = (): unknown => fixedApiKey(key);
      expect(make).toThrow(new TypeError('the API key is not a line of printable ASCII'));
    },
  );
});

test('somebody without an e-mail is told so, without asking', async () => {
  await expect(cloudRoles().rolesOf(principal(undefined), ORDERS, patient())).rejects.toMatchObject({
    code: 'email_missing',
  });
  expect(cloud.asked).toEqual([]);
});

test.each<[string, Partial<TemporalCloudRolesOptions>]>([
  ['address', { address: 'https://saas-api.tmprl.cloud' }],
  ['address', { address: 'unix:/tmp/socket' }],
  ['address', { address: 'saas-api.tmprl.cloud' }],
  ['account', { account: 'a*' }],
  ['freshness', { freshMs: 999 }],
  ['freshness', { freshMs: 300_001 }],
  ['staleness', { staleMs: 900_001 }],
  ['staleness', { freshMs: 60_000, staleMs: 59_999 }],
  ['staleness', { staleMs: Number.NaN }],
])('an impossible %s is refused: %j', (_what, options) => {
  expect(() => cloudRoles(options)).toThrow(TypeError);
});

test('another key than the API knows is an outage', async () => {
  const roles = cloudRoles({ apiKey: fixedApiKey('another-key') });
  await expect(rolesOf(roles)).rejects.toMatchObject(unavailable);
  expect(log.text).toContain('UNAUTHENTICATED');
});
