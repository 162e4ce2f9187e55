// Roles that Temporal Cloud's users hold, as the Cloud Operations API tells them.
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyholeError } from '../../errors.js';
import { systemClock, type Clock } from '../clock.js';
import { silentLogger, type AccessLogger } from '../logger.js';
import type { Principal } from '../principal.js';
import type { ApiKey } from './api-key.js';
import { CachedAnswer, type Loaded } from './cached-answer.js';
import { CloudOperationsClient, type CloudOperations } from './cloud-operations-client.js';
import { OperationsError } from './operations-error.js';
import { RequestBudget } from './request-budget.js';
import type { RoleAnswer, RoleSource } from './role-source.js';
import { isOfAccount, rolesFromUsers, type CloudUser } from './user-roles.js';

export interface TemporalCloudRolesOptions {
  /** `host:port` of the Cloud Operations API; always TLS. */
  readonly address: string;
  /** Sent as `temporal-cloud-api-version`, for example `2024-05-13-00`. */
  readonly apiVersion: string;
  /** Our own key: an Account Owner's or Global Admin's, since others do not see everybody's access. */
  readonly apiKey: ApiKey;
  /** PEM of a private CA in front of the API. Default is grpc-js's own list. */
  readonly ca?: string;
  /** Id of our account. Default is asked of the API. */
  readonly account?: string;
  /** How long the list of users counts as fresh, 1 s to 300 s. Default is 60 s. */
  readonly freshMs?: number;
  /** How old the list may become while the API does not answer, at most 900 s. Default is 300 s. */
  readonly staleMs?: number;
  /** Default is the system's. */
  readonly clock?: Clock;
  /** Told of lists that could not be loaded. Default is silent. */
  readonly logger?: AccessLogger;
  /** What asks the API. Default is gRPC over TLS, at most 10 requests a second. */
  readonly operations?: CloudOperations;
}

/** Everybody, as one load of the list told it. */
interface Directory {
  readonly account: string | undefined;
  readonly byEmail: ReadonlyMap<string, readonly CloudUser[]>;
}

const MAX_PAGES = 300;
/** When a list that has no end is asked for again. */
const ENDLESS_FRESH_MS = 5_000;
/** How the API says that our key may not know its account, or that it has no such method. */
const MAY_NOT_KNOW: ReadonlySet<string> = new Set(['PERMISSION_DENIED', 'NOT_FOUND', 'UNIMPLEMENTED']);
const WARM_DEADLINE_MS = 5_000;
const REQUESTS = { perSecond: 10, burst: 40 };
const ADDRESS = /^(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}$/i;
const ACCOUNT = /^[A-Za-z0-9_-]{1,63}$/;

/**
 * Always asks for the whole list and looks for the person itself, so that somebody absent is a definite no, whatever
 * the API's filters do. One load is in flight; it outlives the caller who began it.
 */
export class TemporalCloudRoles implements RoleSource {
  readonly name = 'temporal-cloud';
  readonly #configuredAccount: string | undefined;
  readonly #operations: CloudOperations;
  readonly #directory: CachedAnswer<Directory>;
  readonly #logger: AccessLogger;
  #learntAccount: string | undefined;

  /** @throws TypeError for an address, account or age that cannot be. */
  constructor(options: TemporalCloudRolesOptions) {
    const {
      account,
      freshMs = 60_000,
      staleMs = 300_000,
      clock = systemClock,
      logger = silentLogger,
    } = options;
    check(options, freshMs, staleMs);
    this.#configuredAccount = account;
    this.#logger = logger;
    this.#operations = options.operations ?? overGrpc(options, clock);
    this.#directory = new CachedAnswer({
      what: 'the roles of Temporal Cloud users',
      load: (signal) => this.#load(signal),
      freshMs,
      staleMs,
      clock,
      onFailure: (error) => {
        logger.warn({ reason: reasonOf(error) }, 'the list of Temporal Cloud users could not be loaded');
      },
    });
  }

  /** Our account's id: the configured one, else as last learnt. Asking while it is unknown has it looked up. */
  account(): string | undefined {
    const account = this.#configuredAccount ?? this.#learntAccount;
    if (account === undefined) void this.warm();
    return account;
  }

  /** Loads the list; call it at the start. Gives up waiting after 5 s; never rejects. */
  async warm(): Promise<void> {
    await this.#directory.get(AbortSignal.timeout(WARM_DEADLINE_MS)).catch(() => undefined);
  }

  async rolesOf({ email }: Principal, namespace: string, signal: AbortSignal): Promise<RoleAnswer> {
    if (email === undefined) {
      throw new KeyholeError('email_missing', 'the access token carries no e-mail that counts here');
    }
    assertOwn(namespace, this.#configuredAccount ?? this.#learntAccount);
    const { value, ageMs } = await this.#directory.get(signal);
    assertOwn(namespace, value.account);
    const users = value.byEmail.get(email) ?? [];
    return { roles: rolesFromUsers(users, email, namespace, value.account), ageMs };
  }

  clear(): void {
    this.#directory.clear();
    this.#learntAccount = undefined;
  }

  close(): void {
    this.#directory.close();
    this.#operations.close();
  }

  async #load(signal: AbortSignal): Promise<Loaded<Directory>> {
    const account = this.#configuredAccount ?? (await this.#askAccount(signal));
    this.#learntAccount = account;
    const byEmail = await this.#askUsers(signal);
    if (byEmail !== undefined) return { value: { account, byEmail } };
    this.#logger.warn(
      { pages: MAX_PAGES },
      'the list of Temporal Cloud users has no end: nobody is let in by it',
    );
    return { value: { account, byEmail: new Map() }, freshMs: ENDLESS_FRESH_MS };
  }

  /** `undefined` where the API says that our key may not know. */
  async #askAccount(signal: AbortSignal): Promise<string | undefined> {
    let account: string;
    try {
      account = await this.#operations.accountId(signal);
    } catch (error) {
      if (!(error instanceof OperationsError && MAY_NOT_KNOW.has(error.status))) throw error;
      account = '';
    }
    if (ACCOUNT.test(account)) return account;
    const consequence = 'account roles grant nothing and no enterprise sign-in is accepted';
    this.#logger.warn(
      { setting: 'access.account' },
      `the account of our API key cannot be learnt: ${consequence}`,
    );
    return undefined;
  }

  /** All pages; `undefined` if they go round in a circle or are more than 300. */
  async #askUsers(signal: AbortSignal): Promise<Directory['byEmail'] | undefined> {
    const byEmail = new Map<string, CloudUser[]>();
    const seen = new Set<string>(['']);
    let pageToken = '';
    do {
      if (seen.size > MAX_PAGES) return undefined;
      const { users, nextPageToken } = await this.#operations.usersPage(pageToken, signal);
      for (const user of users) {
        const namesakes = byEmail.get(user.email);
        if (namesakes === undefined) byEmail.set(user.email, [user]);
        else namesakes.push(user);
      }
      if (nextPageToken !== '' && seen.has(nextPageToken)) return undefined;
      seen.add(nextPageToken);
      pageToken = nextPageToken;
    } while (pageToken !== '');
    return byEmail;
  }
}

function overGrpc(
  { address, apiVersion, apiKey, ca }: TemporalCloudRolesOptions,
  clock: Clock,
): CloudOperations {
  const pause = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, undefined, { signal });
  const budget = new RequestBudget({ ...REQUESTS, clock, pause });
  return new CloudOperationsClient({ address, apiVersion, apiKey, ca, budget, pause, random: Math.random });
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

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
