// Random accounts against a model of "most permissive wins" that shares no code with what it checks.
import { beforeAll, expect, test } from 'vitest';
import { Policy, type Action, type Rule } from '../../../src/access/policy.js';
import { fixedApiKey } from '../../../src/access/roles/api-key.js';
import { CloudOperationsClient } from '../../../src/access/roles/cloud-operations-client.js';
import { RequestBudget } from '../../../src/access/roles/request-budget.js';
import { TemporalCloudRoles } from '../../../src/access/roles/temporal-cloud.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { FakeClock } from '../../fake-clock.js';
import {
  startCloudOperations,
  type CloudGroupOfPeople,
  type CloudPerson,
  type KeyStanding,
} from '../../parts/cloud-operations.js';
import { patient, principal } from '../principals.js';
import { randomFrom, seedOfThisRun, type Random } from '../random.js';

const PEOPLE = 10_000;
const GROUPS = 1_000;
const QUESTIONS = 50_000;
const SEED = seedOfThisRun();
const NAMESPACES = Array.from({ length: 40 }, (_, index) => `n${index}.a1b2c`);

const RULES: readonly Rule[] = [
  {
    roles: ['account:owner', 'account:admin', 'inherited:admin', 'namespace:admin'],
    may: ['decode', 'encode'],
  },
  { roles: ['inherited:write', 'namespace:write'], may: ['encode'] },
];

let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}

function access(random: Random, privileged: number): Omit<CloudPerson, 'email'> {
  const accounts = ['developer', 'finance_admin', 'read', 'read', 'metrics_read'];
  const namespaces = Array.from({ length: random(3) }, () => [
    pick(random, NAMESPACES),
    pick(random, ['admin', 'write', 'write', 'read', 'read']),
  ]);
  return {
    account: random(1_000) < privileged ? pick(random, ['owner', 'admin']) : pick(random, accounts),
    state: random(50) === 0 ? pick(random, ['suspended', 'deleted', 'activating', 99]) : 'active',
    namespaces: Object.fromEntries(namespaces) as Record<string, string>,
    inherited: random(4) > 0 ? {} : { [pick(random, NAMESPACES)]: pick(random, ['admin', 'write', 'read']) },
  };
}

/** What the rules of the seed come to, told from the data alone. */
function allowed(
  action: Action,
  namespace: string,
  person: CloudPerson | undefined,
  groups: readonly CloudGroupOfPeople[],
): boolean {
  if (person?.state !== 'active') return false;
  const sources = [person, ...groups.filter((group) => group.state === 'active')];
  const has = (permission: string): boolean =>
    sources.some(({ namespaces, inherited }) =>
      [namespaces, inherited].some((held) => held?.[namespace] === permission),
    );
  if (has('admin') || sources.some(({ account }) => account === 'owner' || account === 'admin')) return true;
  return action === 'encode' && has('write');
}

test.each<[string, KeyStanding]>([
  ['an owner’s key', { account: 'owner' }],
  [
    'a key that is admin of every namespace and reads the account',
    { account: 'read', namespaces: NAMESPACES },
  ],
])(
  `with %s, ${QUESTIONS} questions about ${PEOPLE} people in ${GROUPS} groups are answered as the model does (seed ${SEED})`,
  { timeout: 60_000 },
  async (_which, key) => {
    const random = randomFrom(SEED);
    const users = Array.from({ length: PEOPLE }, (_, index) => ({
      email: `user${index}@example.com`,
      ...access(random, 5),
    }));
    const byEmail = new Map(users.map((person) => [person.email, person]));
    const groups = Array.from({ length: GROUPS }, (_, index) => ({
      id: `group ${index}`,
      ...access(random, 10),
      members: [...new Set(Array.from({ length: random(40) }, () => pick(random, users).email))],
    }));
    const groupsOf = new Map<string, CloudGroupOfPeople[]>();
    for (const group of groups) {
      for (const email of group.members) groupsOf.set(email, [...(groupsOf.get(email) ?? []), group]);
    }
    const cloud = await startCloudOperations({ certificates, users, groups });
    cloud.behaviour.key = key;
    const policy = new Policy({
      rules: RULES,
      source: unhurried(cloud.address),
    });

    const differences: string[] = [];
    let granted = 0;
    for (let asked = 0; asked < QUESTIONS; asked += 1) {
      const email = `user${random(PEOPLE + 100)}@example.com`;
      const namespace = pick(random, NAMESPACES);
      const action = pick(random, ['decode', 'encode'] as const);
      const person = byEmail.get(email);
      const expected = allowed(action, namespace, person, groupsOf.get(email) ?? []);
      const answer = await policy.decide(principal(email), action, namespace, patient());
      if (answer.allowed) granted += 1;
      if (answer.allowed !== expected) differences.push(`${email} ${action} ${namespace}: ${expected}`);
    }
    expect(differences).toEqual([]);
    expect(granted).toBeGreaterThan(QUESTIONS / 100);
    await cloud.stop();
  },
);

/** Asks over gRPC as ever, but as often as it likes: a thousand groups would take minutes. */
function unhurried(address: string): TemporalCloudRoles {
  const clock = new FakeClock();
  const pause = (): Promise<void> => Promise.resolve();
  const budget = new RequestBudget({ perSecond: 1e6, burst: 1e6, clock, pause });
  const [apiKey, apiVersion] = [fixedApiKey('any'), 'v0.13.0'];
  const operations = new CloudOperationsClient({
    address,
    apiVersion,
    apiKey,
    ca: certificates.ca,
    budget,
    pause,
    random: () => 0,
  });
  const wanted = new Set(RULES.flatMap(({ roles }) => roles));
  return new TemporalCloudRoles({ address, apiVersion, apiKey, clock, operations, wanted });
}
