// Roles that Temporal Cloud's users hold, as the Cloud Operations API tells them.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock, type Clock } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import { silentLogger, type AccessLogger } from '../logger.js';
import type { Channel } from '../outgoing/connecting.js';
import type { Patience } from '../patience.js';
import type { Principal } from '../principal.js';
import type { ApiKey } from './api-key.js';
import type { Aged, CachedAnswer } from './cached-answer.js';
import {
  isActive,
  isOfAccount,
  rolesOfAccess,
  rolesOfAssignment,
  type CloudAssignment,
  type CloudGroup,
} from './cloud-access.js';
import { ACCOUNT, CloudDirectory, MAX_NAMESPACES } from './cloud-directory.js';
import { CloudOperationsClient, type CloudOperations } from './cloud-operations-client.js';
import { emailOf } from './email-of.js';
import { RequestBudget } from './request-budget.js';
import type { Role, RoleAnswer, RoleSource } from './role-source.js';

export interface TemporalCloudRolesOptions {
  /** `host:port` of the Cloud Operations API; always TLS. */
  readonly address: string;
  /** Sent as `temporal-cloud-api-version`, for example `2024-05-13-00`. */
  readonly apiVersion: string;
  /** Our own key: a Namespace Admin's of each namespace that is served, or an Account Owner's or Global Admin's. */
  readonly apiKey: ApiKey;
  /** PEM of a private CA in front of the API. Default is grpc-js's own list. */
  readonly ca?: string;
  /** The way to `address`. Default is straight. */
  readonly channel?: Channel;
  /** Id of our account. Default is asked of the API. */
  readonly account?: string;
  /** The roles that some rule names: groups that give no other are passed over. Default is every one. */
  readonly wanted?: ReadonlySet<Role>;
  /** How long a list counts as fresh, 1 s to 300 s. Default is 60 s. */
  readonly freshMs?: number;
  /** How old a list may become while the API does not answer, at most 900 s. Default is 300 s. */
  readonly staleMs?: number;
  /** Default is the system's. */
  readonly clock?: Clock;
  /** Told of lists that could not be loaded. Default is silent. */
  readonly logger?: AccessLogger;
  /** What asks the API. Default is gRPC over TLS, at most 10 requests a second. */
  readonly operations?: CloudOperations;
}

const WARM_DEADLINE_MS = 5_000;
/** Their questions are half of what may be asked at once: the first callers have the other half. */
const MAX_WARMED = 10;
const REQUESTS = { perSecond: 10, burst: 40 };
const ADDRESS = /^(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}$/i;

/** A group that gives roles on a namespace. */
interface GivingGroup {
  readonly id: string;
  readonly roles: readonly Role[];
}

/**
 * Always asks for whole lists and looks for the person itself, so that somebody absent is a definite no, whatever the
 * API's filters do. Whatever gives a role counts: the person's own access, an assignment, a group. One load of a list is
 * in flight; it outlives the caller who began it.
 *
 * Not told apart: people in a state other than active, where our key may not list users.
 */
export class TemporalCloudRoles implements RoleSource {
  readonly name = 'temporal-cloud';
  readonly #directory: CloudDirectory;
  readonly #wanted: ReadonlySet<Role> | undefined;
  readonly #giving = new Map<
    string,
    { readonly told: ToldOfGroups; readonly groups: readonly GivingGroup[] }
  >();

  /** @throws TypeError for an address, account or age that cannot be. */
  constructor(options: TemporalCloudRolesOptions) {
    const {
      account,
      wanted,
      freshMs = 60_000,
      staleMs = 300_000,
      clock = systemClock,
      logger = silentLogger,
    } = options;
    check(options, freshMs, staleMs);
    this.#wanted = wanted;
    const operations = options.operations ?? overGrpc(options, clock);
    this.#directory = new CloudDirectory({ operations, account, freshMs, staleMs, clock, logger });
  }

  /** Our account's id: the configured one, else as last learnt. Asking while it is unknown has it looked up. */
  account(): string | undefined {
    const { account, standing } = this.#directory;
    if (account === undefined)
      void standing.get(AbortSignal.timeout(WARM_DEADLINE_MS)).catch(() => undefined);
    return account;
  }

  /**
   * Loads the lists of the account, and of the first ten of these namespaces; call it at the start. Gives up waiting after
   * 5 s; never rejects.
   */
  async warm(namespaces: readonly string[] = []): Promise<void> {
    const { standing, users, groups, assignments, groupAssignments } = this.#directory;
    const signal = AbortSignal.timeout(WARM_DEADLINE_MS);
    await Promise.allSettled([standing, users, groups].map((list) => list.get(signal)));
    const { account } = this.#directory;
    const own = namespaces.filter((name) => account === undefined || isOfAccount(name, account));
    await Promise.allSettled(
      own
        .slice(0, MAX_WARMED)
        .flatMap((name) => [assignments.of(name).get(signal), groupAssignments.of(name).get(signal)]),
    );
  }

  async rolesOf(principal: Principal, namespace: string, patience: Patience): Promise<RoleAnswer> {
    const email = emailOf(principal);
    const directory = this.#directory;
    assertOwn(namespace, directory.account);
    const read = new Reading(patience);
    const [{ account }, users] = await Promise.all([read.of(directory.standing), read.of(directory.users)]);
    assertOwn(namespace, account);
    const source = users === undefined ? `${this.name}, state of people unknown` : this.name;
    const [user, ...namesakes] = users?.get(email) ?? [];
    if (users !== undefined && (user === undefined || namesakes.length > 0 || !isActive(user))) {
      return { roles: [], source, ageMs: read.oldestMs };
    }
    const assignments = (await read.of(directory.assignments.of(namespace))).get(email) ?? [];
    const own = [
      ...(user === undefined ? [] : [rolesOfAccess(user, namespace, account)]),
      ...assignments.map(rolesOfAssignment),
    ];
    const [id, ...others] = new Set(
      [...(user === undefined ? [] : [user]), ...assignments].map(({ id }) => id),
    );
    const isOne = id !== '' && others.length === 0;
    if (!isOne || own.includes(undefined)) return { roles: [], source, ageMs: read.oldestMs };
    const ofGroups = id === undefined ? [] : await this.#rolesByGroups(id, namespace, account, read);
    const roles = [...new Set([...own.flatMap((held) => held ?? []), ...ofGroups])];
    return { roles, source, ageMs: read.oldestMs };
  }

  async people(namespace: string, patience: Patience): Promise<readonly string[]> {
    const read = new Reading(patience);
    const users = await read.of(this.#directory.users);
    const assigned = await read.of(this.#directory.assignments.of(namespace));
    return [...new Set([...(users?.keys() ?? []), ...assigned.keys()])]
      .filter((email) => email !== '')
      .sort();
  }

  close(): void {
    this.#directory.close();
  }

  async #rolesByGroups(
    userId: string,
    namespace: string,
    account: string | undefined,
    read: Reading,
  ): Promise<readonly Role[]> {
    const { groups, groupAssignments, members } = this.#directory;
    const [listed, assigned] = await Promise.all([read.of(groups), read.of(groupAssignments.of(namespace))]);
    const giving = this.#givingOn({ listed, assigned, account }, namespace);
    const told = await read.all(giving.map(({ id }) => members.of(id)));
    return giving.flatMap(({ roles }, index) => (told[index]?.has(userId) === true ? roles : []));
  }

  /** Worked out once for each namespace, until a list changes. */
  #givingOn(told: ToldOfGroups, namespace: string): readonly GivingGroup[] {
    const known = this.#giving.get(namespace);
    if (known !== undefined && isSame(known.told, told)) return known.groups;
    const groups = givingGroups(told, namespace).filter(
      ({ roles }) => this.#wanted === undefined || roles.some((role) => this.#wanted?.has(role)),
    );
    if (this.#giving.size >= MAX_NAMESPACES) this.#giving.clear();
    this.#giving.set(namespace, { told, groups });
    return groups;
  }
}

/** What the lists tell of groups. */
interface ToldOfGroups {
  readonly listed: ReadonlyMap<string, CloudGroup> | undefined;
  readonly assigned: readonly CloudAssignment[];
  readonly account: string | undefined;
}

function isSame(one: ToldOfGroups, other: ToldOfGroups): boolean {
  return one.listed === other.listed && one.assigned === other.assigned && one.account === other.account;
}

/**
 * Active ones, as far as their state is told, by their own access and by assignments. One whose own access is set but
 * unknown gives nothing.
 */
function givingGroups({ listed, assigned, account }: ToldOfGroups, namespace: string): GivingGroup[] {
  const own = [...(listed?.values() ?? [])].filter(isActive).flatMap((group) => {
    const roles = rolesOfAccess(group, namespace, account);
    return roles === undefined ? [] : [{ id: group.id, roles }];
  });
  const known = listed && new Set(own.map(({ id }) => id));
  const others = assigned
    .filter(({ id }) => known?.has(id) ?? true)
    .map((row) => ({ id: row.id, roles: rolesOfAssignment(row) ?? [] }));
  return [...own, ...others].filter(({ id, roles }) => id !== '' && roles.length > 0);
}

/** The lists that one answer rests on, and how old the oldest is. */
class Reading {
  readonly #patience: Patience;
  oldestMs = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  async of<T>(list: CachedAnswer<T>): Promise<T> {
    return this.#counted(list.fresh() ?? (await this.#waitFor(list)));
  }

  /** At once where all are fresh: a decision may rest on very many. */
  async all<T>(lists: readonly CachedAnswer<T>[]): Promise<readonly T[]> {
    const fresh = lists.flatMap((list) => list.fresh() ?? []);
    if (fresh.length === lists.length) return fresh.map((answer) => this.#counted(answer));
    return Promise.all(lists.map((list) => this.of(list)));
  }

  #waitFor<T>(list: CachedAnswer<T>): Promise<Aged<T>> {
    const { signal } = this.#patience;
    setMaxListeners(0, signal); // as many lists may be waited for at once as there are groups
    return list.get(signal);
  }

  #counted<T>({ value, ageMs }: Aged<T>): T {
    this.oldestMs = Math.max(this.oldestMs, ageMs);
    return value;
  }
}

function overGrpc(
  { address, apiVersion, apiKey, ca, channel }: TemporalCloudRolesOptions,
  clock: Clock,
): CloudOperations {
  const pause = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal });
  const budget = new RequestBudget({ ...REQUESTS, clock, pause });
  const random = Math.random;
  return new CloudOperationsClient({ address, apiVersion, apiKey, ca, channel, budget, pause, random });
}

/** A namespace is named `NAME.ACCOUNT`. */
function assertOwn(namespace: string, account: string | undefined): void {
  if (account === undefined || isOfAccount(namespace, account)) return;
  throw new KeyholeError('namespace_foreign', `namespace ${namespace} belongs to another account`);
}

function check({ address, account }: TemporalCloudRolesOptions, freshMs: number, staleMs: number): void {
  if (!ADDRESS.test(address)) throw new TypeError(`${address} is not host:port`);
  if (account !== undefined && !ACCOUNT.test(account)) throw new TypeError(`${account} is not an account id`);
  if (!(freshMs >= 1_000 && freshMs <= 300_000)) throw new TypeError('freshMs is not between 1 s and 300 s');
  if (!(staleMs >= freshMs && staleMs <= 900_000))
    throw new TypeError('staleMs is not between freshMs and 900 s');
}
