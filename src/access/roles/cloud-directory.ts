// The lists of people and groups that the Cloud Operations API keeps, each loaded once while it is fresh.
import type { Clock } from '../../clock.js';
import type { AccessLogger } from '../logger.js';
import { CachedAnswer, type Loaded } from './cached-answer.js';
import type { CloudAssignment, CloudGroup, CloudUser } from './cloud-access.js';
import type { CloudLists, CloudOperations } from './cloud-operations-client.js';
import { KeptAnswers } from './kept-answers.js';
import { OperationsError } from './operations-error.js';
import type { Lane } from './request-budget.js';

export interface CloudDirectoryOptions {
  readonly operations: CloudOperations;
  /** Id of our account. Default is asked of the API. */
  readonly account: string | undefined;
  readonly freshMs: number;
  readonly staleMs: number;
  readonly clock: Clock;
  readonly logger: AccessLogger;
}

/** What our key is, and of which account. */
export interface Standing {
  /** `undefined` where the API says that our key may not know. */
  readonly account: string | undefined;
  /** Whether our key is told other people's access. */
  readonly seesAccess: boolean;
}

const MAX_PAGES = 300;
/** When a list that has no end is asked for again. */
const ENDLESS_FRESH_MS = 5_000;
/** Of so many namespaces lists are kept. */
export const MAX_NAMESPACES = 1_000;
const MAX_GROUPS = 10_000;
export const ACCOUNT = /^[A-Za-z0-9_-]{1,63}$/;
/** How the API says that our key may not know, or that it has no such method. */
const MAY_NOT_KNOW: ReadonlySet<string> = new Set(['PERMISSION_DENIED', 'NOT_FOUND', 'UNIMPLEMENTED']);
const NOTHING: ReadonlySet<string> = new Set();
const NO_SUCH_THING: ReadonlySet<string> = new Set(['NOT_FOUND']);
const MAY_NOT_LIST: ReadonlySet<string> = new Set(['PERMISSION_DENIED', 'UNIMPLEMENTED']);

/**
 * Each list is read to its end. A key that sees other people's access must be let into the lists of users and groups;
 * any other key into the lists of assignments of the namespaces that are asked about. Only these tell of access by a role
 * on a project, so that every key asks for them.
 */
export class CloudDirectory {
  readonly #options: CloudDirectoryOptions;
  /** Never ends an outage by itself: all other lists are loaded by what it says. */
  readonly standing: CachedAnswer<Standing>;
  /** By e-mail; `undefined`: our key may not list people. */
  readonly users: CachedAnswer<ReadonlyMap<string, readonly CloudUser[]> | undefined>;
  /** By id; `undefined`: our key may not list groups. */
  readonly groups: CachedAnswer<ReadonlyMap<string, CloudGroup> | undefined>;
  /** Ids of a group's members, by its id. */
  readonly members: KeptAnswers<ReadonlySet<string>>;
  /** People with access to a namespace, by e-mail. */
  readonly assignments: KeptAnswers<ReadonlyMap<string, readonly CloudAssignment[]>>;
  /** Groups with access to a namespace. */
  readonly groupAssignments: KeptAnswers<readonly CloudAssignment[]>;
  #account: string | undefined;

  constructor(options: CloudDirectoryOptions) {
    this.#options = options;
    this.standing = this.#answer('the standing of our API key', (signal) => this.#askStanding(signal));
    this.users = this.#answer('the users', (signal, lane) => this.#askUsers(signal, lane));
    this.groups = this.#answer('the groups', (signal, lane) => this.#askGroups(signal, lane));
    this.members = new KeptAnswers(MAX_GROUPS, (group) =>
      this.#answer(`the members of group ${group}`, (signal, lane) => this.#askMembers(group, signal, lane)),
    );
    this.assignments = new KeptAnswers(MAX_NAMESPACES, (namespace) =>
      this.#answer(`the users of namespace ${namespace}`, (signal, lane) =>
        this.#askAssignments(namespace, signal, lane),
      ),
    );
    this.groupAssignments = new KeptAnswers(MAX_NAMESPACES, (namespace) =>
      this.#answer(`the groups of namespace ${namespace}`, (signal, lane) =>
        this.#askGroupAssignments(namespace, signal, lane),
      ),
    );
  }

  /** Our account's id: the configured one, else as last learnt. */
  get account(): string | undefined {
    return this.#options.account ?? this.#account;
  }

  close(): void {
    const { standing, users, groups, members, assignments, groupAssignments } = this;
    for (const answer of [standing, users, groups, members, assignments, groupAssignments]) answer.close();
    this.#options.operations.close();
  }

  #answer<T>(list: string, load: (signal: AbortSignal, lane: Lane) => Promise<Loaded<T>>): CachedAnswer<T> {
    const { freshMs, staleMs, clock, logger } = this.#options;
    return new CachedAnswer({
      what: 'the roles of Temporal Cloud users',
      load: (signal, again) => load(signal, again ? 'in-use' : 'new'),
      freshMs,
      staleMs,
      clock,
      onFailure: (error) => {
        const reason = error instanceof Error ? error.message : 'unknown';
        logger.warn({ reason }, `the Cloud Operations API did not tell ${list}`);
      },
    });
  }

  async #askStanding(signal: AbortSignal): Promise<Loaded<Standing>> {
    const { operations, account: configured } = this.#options;
    const seesAccess = (await ifKnown(operations.seesAccess(signal), MAY_NOT_KNOW)) ?? false;
    const told = (await ifKnown(operations.accountId(signal), MAY_NOT_KNOW)) ?? '';
    const account = this.#accountOf(told, configured);
    this.#account = account;
    return { value: { account, seesAccess } };
  }

  /**
   * `undefined` where nobody says. Another account's key would let its owners in here.
   *
   * @throws OperationsError for a key of another account than the configured one.
   */
  #accountOf(told: string, configured: string | undefined): string | undefined {
    if (!ACCOUNT.test(told)) {
      if (configured !== undefined) return configured;
      const consequence = 'account roles grant nothing and no enterprise sign-in is accepted';
      const message = `the account of our API key cannot be learnt: ${consequence}`;
      this.#options.logger.warn({ setting: 'access.account' }, message);
      return undefined;
    }
    if (configured === undefined || configured === told) return told;
    throw new OperationsError(
      'FAILED_PRECONDITION',
      'our API key belongs to another account than "access.account" says',
    );
  }

  async #askUsers(
    signal: AbortSignal,
    lane: Lane,
  ): Promise<Loaded<ReadonlyMap<string, readonly CloudUser[]> | undefined>> {
    const refusals = (await this.#seesAccess(signal)) ? NOTHING : MAY_NOT_LIST;
    return mapped(await this.#rows('users', '', lane, signal, refusals), byEmail);
  }

  async #askGroups(
    signal: AbortSignal,
    lane: Lane,
  ): Promise<Loaded<ReadonlyMap<string, CloudGroup> | undefined>> {
    const refusals = (await this.#seesAccess(signal)) ? NOTHING : MAY_NOT_LIST;
    const loaded = await this.#rows('groups', '', lane, signal, refusals);
    return mapped(loaded, (rows) => rows && new Map(rows.map((group) => [group.id, group])));
  }

  async #askAssignments(
    namespace: string,
    signal: AbortSignal,
    lane: Lane,
  ): Promise<Loaded<ReadonlyMap<string, readonly CloudAssignment[]>>> {
    const loaded = await this.#assigned('userAssignments', namespace, lane, signal);
    return mapped(loaded, (rows) => byEmail(rows) ?? new Map<string, readonly CloudAssignment[]>());
  }

  async #askGroupAssignments(
    namespace: string,
    signal: AbortSignal,
    lane: Lane,
  ): Promise<Loaded<readonly CloudAssignment[]>> {
    const loaded = await this.#assigned('groupAssignments', namespace, lane, signal);
    return mapped(loaded, (rows = []) => rows);
  }

  /**
   * A key that sees other people's access may be refused: then nobody is let in by a role on a project. Of an unknown
   * account it is not asked, since what its rows tell may be inherited from account roles, which grant nothing then.
   */
  async #assigned(
    list: 'userAssignments' | 'groupAssignments',
    namespace: string,
    lane: Lane,
    signal: AbortSignal,
  ): Promise<Loaded<readonly CloudAssignment[] | undefined>> {
    const { account, seesAccess } = (await this.standing.get(signal)).value;
    if (seesAccess && account === undefined) return { value: undefined };
    const loaded = await this.#rows(list, namespace, lane, signal, seesAccess ? MAY_NOT_KNOW : NO_SUCH_THING);
    if (seesAccess && loaded.value === undefined) {
      const what = 'our API key is not told the assignments of a namespace, or there is no such namespace';
      this.#options.logger.warn({ list, namespace }, `${what}: nobody is let in by a role on its project`);
    }
    return loaded;
  }

  /** A key that need not be let into the account's lists may be refused: then the group lets nobody in. */
  async #askMembers(group: string, signal: AbortSignal, lane: Lane): Promise<Loaded<ReadonlySet<string>>> {
    const refusals = (await this.#seesAccess(signal)) ? NO_SUCH_THING : MAY_NOT_KNOW;
    const { value: ids, ...rest } = await this.#rows('members', group, lane, signal, refusals);
    if (ids === undefined) {
      this.#options.logger.warn({ group }, 'our API key is not told the members: the group lets nobody in');
    }
    return { ...rest, value: new Set(ids) };
  }

  async #seesAccess(signal: AbortSignal): Promise<boolean> {
    return (await this.standing.get(signal)).value.seesAccess;
  }

  /**
   * All rows; none if the pages go round in a circle or are more than 300.
   *
   * @param refusals - statuses that say that there is no such list for us; then `undefined`.
   */
  async #rows<L extends keyof CloudLists>(
    list: L,
    of: string,
    lane: Lane,
    signal: AbortSignal,
    refusals: ReadonlySet<string>,
  ): Promise<Loaded<readonly CloudLists[L][] | undefined>> {
    const { operations, logger } = this.#options;
    const all: CloudLists[L][] = [];
    const seen = new Set<string>();
    let pageToken = '';
    do {
      seen.add(pageToken);
      const page = await ifKnown(operations.page(list, { of, pageToken, lane }, signal), refusals);
      if (page === undefined) return { value: undefined };
      for (const row of page.rows) all.push(row);
      pageToken = page.nextPageToken;
    } while (pageToken !== '' && !seen.has(pageToken) && seen.size < MAX_PAGES);
    if (pageToken === '') return { value: all };
    logger.warn({ list, pages: seen.size }, 'a list of Temporal Cloud has no end: nobody is let in by it');
    return { value: [], freshMs: ENDLESS_FRESH_MS };
  }
}

function byEmail<Row extends { readonly email: string }>(
  rows: readonly Row[] | undefined,
): ReadonlyMap<string, readonly Row[]> | undefined {
  if (rows === undefined) return undefined;
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const namesakes = found.get(row.email);
    if (namesakes === undefined) found.set(row.email, [row]);
    else namesakes.push(row);
  }
  return found;
}

function mapped<T, U>({ value, ...rest }: Loaded<T>, change: (value: T) => U): Loaded<U> {
  return { ...rest, value: change(value) };
}

/** `undefined` for a refusal with one of these statuses. */
async function ifKnown<T>(answer: Promise<T>, refusals: ReadonlySet<string>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof OperationsError && refusals.has(error.status)) return undefined;
    throw error;
  }
}
