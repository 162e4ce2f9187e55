// How long somebody may still read who no longer may: revocations at random moments, on a clock that the test moves.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Policy } from '../../../src/access/policy.js';
import { fixedApiKey } from '../../../src/access/roles/api-key.js';
import { TemporalCloudRoles } from '../../../src/access/roles/temporal-cloud.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { FakeClock } from '../../fake-clock.js';
import {
  startCloudOperations,
  type CloudGroupOfPeople,
  type CloudOperationsStandIn,
  type CloudPerson,
} from '../../parts/cloud-operations.js';
import { patient, principal } from '../principals.js';
import { randomFrom, seedOfThisRun, volume, type Random } from '../random.js';

const ORDERS = 'orders.a1b2c';
const PEOPLE = volume(1_000);
const DURATION_MS = 600_000;
const STEP_MS = 1_000;
const SEED = seedOfThisRun();

let certificates: Certificates;
let cloud: CloudOperationsStandIn;
let clock: FakeClock;
let roles: TemporalCloudRoles;
let policy: Policy;

beforeAll(async () => {
  certificates = await makeCertificates();
});
beforeEach(async () => {
  clock = new FakeClock();
  cloud = await startCloudOperations({ certificates });
  roles = new TemporalCloudRoles({
    address: cloud.address,
    apiVersion: 'v0.13.0',
    apiKey: fixedApiKey('any'),
    ca: certificates.ca,
    clock,
  });
  policy = new Policy({
    rules: [{ roles: ['namespace:admin', 'inherited:admin', 'account:admin'], may: ['decode'] }],
    source: roles,
  });
});
afterEach(async () => {
  roles.close();
  await cloud.stop();
});

/** Somebody who may read, by one of the ways there are. */
interface Reader {
  readonly email: string;
  readonly way: 'own role' | 'account role' | 'group';
}

function readers(random: Random): Reader[] {
  const ways = ['own role', 'account role', 'group'] as const;
  return Array.from({ length: PEOPLE }, (_, index) => ({
    email: `user${index}@example.com`,
    way: ways[random(ways.length)] ?? 'group',
  }));
}

function personOf({ email, way }: Reader): CloudPerson {
  if (way === 'account role') return { email, account: 'admin' };
  return { email, account: 'read', namespaces: { [ORDERS]: way === 'own role' ? 'admin' : 'read' } };
}

/** Takes away what lets somebody in: the role, the membership, the person's state or the person. */
function revoke(reader: Reader, random: Random): void {
  const { behaviour } = cloud;
  const { email, way } = reader;
  const suspendedOrGone = random(3);
  if (suspendedOrGone === 0) {
    behaviour.users = behaviour.users.filter((person) => person.email !== email);
  } else if (suspendedOrGone === 1) {
    change(email, { state: 'suspended' });
  } else if (way === 'group') {
    behaviour.groups = behaviour.groups.map((group): CloudGroupOfPeople => ({
      ...group,
      members: group.members.filter((member) => member !== email),
    }));
  } else {
    change(email, { account: 'developer', namespaces: { [ORDERS]: 'write' } });
  }
}

function change(email: string, over: Partial<CloudPerson>): void {
  const { behaviour } = cloud;
  behaviour.users = behaviour.users.map((person) =>
    person.email === email ? { ...person, ...over } : person,
  );
}

async function mayRead({ email }: Reader): Promise<boolean> {
  return (await policy.decide(principal(email), 'decode', ORDERS, patient())).allowed;
}

function settle(people: readonly Reader[]): void {
  cloud.behaviour.users = people.map(personOf);
  cloud.behaviour.groups = [
    {
      id: 'readers',
      account: 'read',
      namespaces: { [ORDERS]: 'admin' },
      members: people.filter(({ way }) => way === 'group').map(({ email }) => email),
    },
  ];
}

describe.each([
  ['an owner’s key', { account: 'owner' }],
  ['a Namespace Admin’s key', { account: 'read', namespaces: [ORDERS] }],
])('with %s', (_which, key) => {
  test(
    `${PEOPLE} revocations at random moments are in force within 60 s (seed ${SEED})`,
    { timeout: 60_000 },
    async () => {
      const random = randomFrom(SEED);
      const people = readers(random);
      settle(people);
      cloud.behaviour.key = key;
      for (const reader of people) expect(await mayRead(reader)).toBe(true);

      const due = people
        .map((reader) => ({ reader, atMs: random(DURATION_MS) }))
        .sort((one, other) => one.atMs - other.atMs);
      const revoked = new Map<Reader, number>();
      const lateMs: number[] = [];
      for (let nowMs = 0; nowMs <= DURATION_MS + 61_000; nowMs += STEP_MS) {
        while (due[0] !== undefined && due[0].atMs <= nowMs) {
          const { reader, atMs } = due.shift() ?? due[0];
          revoke(reader, random);
          revoked.set(reader, atMs);
        }
        for (const [reader, atMs] of revoked) {
          if (await mayRead(reader)) continue;
          revoked.delete(reader);
          lateMs.push(nowMs - atMs);
        }
        const still = due[random(due.length)]?.reader;
        if (still !== undefined) expect(await mayRead(still)).toBe(true);
        clock.pass(STEP_MS);
      }
      expect(lateMs).toHaveLength(PEOPLE);
      expect(Math.max(...lateMs)).toBeLessThanOrEqual(60_000);
    },
  );

  test('a revocation while the API is down is in force after 300 s, for everybody then is refused', async () => {
    const reader: Reader = { email: 'alice@example.com', way: 'group' };
    settle([reader]);
    cloud.behaviour.key = key;
    expect(await mayRead(reader)).toBe(true);
    await cloud.down();
    revoke(reader, () => 0);
    clock.pass(299_999);
    expect(await mayRead(reader)).toBe(true);
    clock.pass(1);
    await expect(mayRead(reader)).rejects.toMatchObject({ code: 'authz_unavailable' });
  }, 20_000);
});
