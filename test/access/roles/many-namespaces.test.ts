// Many namespaces whose lists are kept fresh at once: how much that asks of the API, and how old what is known becomes.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { fixedApiKey } from '../../../src/access/roles/api-key.js';
import type { CloudAssignment, CloudUser } from '../../../src/access/roles/cloud-access.js';
import type {
  CloudLists,
  CloudOperations,
  Page,
  PageQuestion,
} from '../../../src/access/roles/cloud-operations-client.js';
import { OperationsError } from '../../../src/access/roles/operations-error.js';
import { RequestBudget } from '../../../src/access/roles/request-budget.js';
import type { RoleAnswer } from '../../../src/access/roles/role-source.js';
import { TemporalCloudRoles } from '../../../src/access/roles/temporal-cloud.js';
import { FakeClock } from '../../fake-clock.js';
import { patient, principal } from '../principals.js';

const ALICE = 'alice@example.com';
const STEP_MS = 100;
const ASSIGNED: CloudAssignment = {
  id: 'alice',
  email: ALICE,
  access: { permission: 1, permissionDeprecated: '' },
  inherited: false,
};
const USER: CloudUser = {
  id: 'alice',
  email: ALICE,
  state: 3,
  stateDeprecated: '',
  account: undefined,
  namespaces: new Map(),
};

afterEach(() => {
  vi.restoreAllMocks();
});

/** Time that only the test moves, with what waits for it. */
class FakeTime extends FakeClock {
  #waiting: { readonly atMs: number; readonly go: () => void }[] = [];

  pause = (ms: number): Promise<void> =>
    new Promise((go) => {
      this.#waiting.push({ atMs: this.monotonicMs + ms, go });
    });

  readonly timeout = (ms: number): AbortSignal => {
    const late = new AbortController();
    void this.pause(ms).then(() => {
      late.abort(new Error('late'));
    });
    return late.signal;
  };

  /** Until everything that it set off has happened. */
  async step(ms: number): Promise<void> {
    this.pass(ms);
    const due = this.#waiting.filter(({ atMs }) => atMs <= this.monotonicMs);
    this.#waiting = this.#waiting.filter(({ atMs }) => atMs > this.monotonicMs);
    for (const { go } of due) go();
    await new Promise(setImmediate);
  }
}

/** Of what our key is admin: of the account, or of every namespace and nothing else. */
type AdminOf = 'account' | 'namespaces';

/** Alice is admin of every namespace. Takes the budget as the client does. */
class AdminsKey implements CloudOperations {
  readonly askedMs: number[] = [];
  readonly #time: FakeTime;
  readonly #budget: RequestBudget;
  readonly #seesAccess: boolean;

  constructor(time: FakeTime, of: AdminOf) {
    this.#time = time;
    this.#seesAccess = of === 'account';
    this.#budget = new RequestBudget({ perSecond: 10, burst: 40, clock: time, pause: time.pause });
  }

  async page<L extends keyof CloudLists>(
    list: L,
    { lane }: PageQuestion,
    signal: AbortSignal,
  ): Promise<Page<CloudLists[L]>> {
    await this.#budget.take(signal, lane);
    this.askedMs.push(this.#time.monotonicMs);
    if (!this.#seesAccess && (list === 'users' || list === 'groups'))
      throw new OperationsError('PERMISSION_DENIED', 'not authorized');
    const rows: readonly unknown[] = list === 'users' ? [USER] : list === 'userAssignments' ? [ASSIGNED] : [];
    return { rows: rows as CloudLists[L][], nextPageToken: '' };
  }

  accountId(): Promise<string> {
    return Promise.resolve('a1b2c');
  }

  seesAccess(): Promise<boolean> {
    return Promise.resolve(this.#seesAccess);
  }

  close(): void {
    return undefined;
  }
}

/** Of all spans of this length, the most requests that one held. */
function mostWithin(ms: number, askedMs: readonly number[]): number {
  let [most, from] = [0, 0];
  for (const [to, atMs] of askedMs.entries()) {
    while ((askedMs[from] ?? 0) <= atMs - ms) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

interface Asking {
  readonly key: AdminOf;
  readonly namespaces: number;
  /** Every namespace is asked about so often. */
  readonly everyMs: number;
  /** What is told before is not looked at: the lists are loaded for the first time. */
  readonly fromMs: number;
  readonly untilMs: number;
}

async function ask({ key, namespaces, everyMs, fromMs, untilMs }: Asking): Promise<{
  readonly answers: readonly PromiseSettledResult<RoleAnswer>[];
  readonly askedMs: readonly number[];
}> {
  const time = new FakeTime();
  vi.spyOn(AbortSignal, 'timeout').mockImplementation(time.timeout);
  const operations = new AdminsKey(time, key);
  const options = { address: 'localhost:1', apiVersion: 'v0.13.0', apiKey: fixedApiKey('any') };
  const roles = new TemporalCloudRoles({ ...options, clock: time, operations });
  const startedMs = time.monotonicMs;
  const answers: Promise<PromiseSettledResult<RoleAnswer>[]>[] = [];
  for (let passedMs = 0; passedMs < untilMs; passedMs += STEP_MS) {
    if (passedMs % everyMs === 0) {
      const told = Array.from({ length: namespaces }, (_, name) =>
        roles.rolesOf(principal(ALICE), `n${name}.a1b2c`, patient()),
      );
      const settled = Promise.allSettled(told);
      if (passedMs >= fromMs) answers.push(settled);
    }
    await time.step(STEP_MS);
  }
  roles.close();
  const askedMs = operations.askedMs.map((atMs) => atMs - startedMs);
  return { answers: (await Promise.all(answers)).flat(), askedMs };
}

describe.each<[string, AdminOf]>([
  ['a Namespace Admin’s key', 'namespaces'],
  ['an Account Owner’s key', 'account'],
])('with %s', (_whose, key) => {
  test('140 namespaces in use are never told of older than 60 s, by 10 requests a second in all', async () => {
    const [namespaces, everyMs, fromMs, untilMs] = [140, 1_000, 60_000, 360_000];
    const { answers, askedMs } = await ask({ key, namespaces, everyMs, fromMs, untilMs });
    const told = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    expect(told).toHaveLength(namespaces * 300);
    expect(told.filter(({ roles }) => roles.join() !== 'namespace:admin')).toEqual([]);
    expect(told.filter(({ ageMs }) => ageMs >= 60_000)).toEqual([]);
    expect(told.some(({ ageMs }) => ageMs >= 30_000)).toBe(true);
    const steady = askedMs.filter((atMs) => atMs >= fromMs);
    expect(steady.length).toBeGreaterThan(2 * namespaces * 8);
    expect(mostWithin(60_000, steady)).toBeLessThanOrEqual(600);
  });

  test('of 300 namespaces in use none is ever refused: its lists wait for their turn', async () => {
    const [namespaces, everyMs, fromMs, untilMs] = [300, 10_000, 200_000, 400_000];
    const { answers } = await ask({ key, namespaces, everyMs, fromMs, untilMs });
    expect(answers).toHaveLength(namespaces * 20);
    expect(answers.filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  test('1,000 namespaces that are all asked about at once cost 40 requests, then 10 a second', async () => {
    const { askedMs } = await ask({
      key,
      namespaces: 1_000,
      everyMs: 10_000,
      fromMs: 60_000,
      untilMs: 60_000,
    });
    expect(askedMs.length).toBeGreaterThan(590);
    expect(mostWithin(1_000, askedMs.slice(50))).toBeLessThanOrEqual(11);
    expect(mostWithin(60_000, askedMs)).toBeLessThanOrEqual(640);
  });
});
