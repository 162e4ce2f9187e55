// strength.md §3: a million distinct ids of each kind, and how much is kept of them; fewer of them in CI.
import { afterEach, expect, test } from 'vitest';
import { StrangerRefusals } from '../../src/access/audit/stranger-refusals.js';
import { silentLogger } from '../../src/access/logger.js';
import { fixedApiKey } from '../../src/access/roles/api-key.js';
import type { CloudAssignment } from '../../src/access/roles/cloud-access.js';
import type {
  CloudLists,
  CloudOperations,
  Page,
  PageQuestion,
} from '../../src/access/roles/cloud-operations-client.js';
import { OperationsError } from '../../src/access/roles/operations-error.js';
import { TemporalCloudRoles } from '../../src/access/roles/temporal-cloud.js';
import { EndedIds } from '../../src/access/sign-in/ended-ids.js';
import { KeySet } from '../../src/access/tokens/key-set.js';
import { TokenVerifier } from '../../src/access/tokens/token-verifier.js';
import { VerifiedTokens } from '../../src/access/tokens/verified-tokens.js';
import { KeyholeError } from '../../src/errors.js';
import { Breaker } from '../../src/keys/breaker.js';
import { DataKeys } from '../../src/keys/data-keys.js';
import { KeyCalls } from '../../src/keys/key-calls.js';
import { Keyring } from '../../src/keys/keyring.js';
import { azureKeyVault } from '../../src/keys/providers/azure-key-vault.js';
import type { WrappingKey } from '../../src/keys/wrapping-key.js';
import { Admission } from '../../src/server/admission/admission.js';
import { CallerBudgets } from '../../src/server/admission/caller-budgets.js';
import { shareOf } from '../../src/server/admission/share.js';
import { DEFAULT_LIMITS } from '../../src/server/limits.js';
import { patient, principal } from '../access/principals.js';
import { FakeClock } from '../fake-clock.js';
import { heldCollections } from './held-collections.js';

/** In CI more than the largest cap. */
const IDS = process.env['KEYHOLE_FULL'] === '1' ? 1_000_000 : 12_000;
const NAMESPACE = 'orders.a1b2c';
const ALICE = 'alice@example.com';

const clock = new FakeClock();
const ending: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(ending.splice(0).map((end) => end()));
});

/** Gives as many ids to what keeps something by them; then tells what that keeps. */
async function kept(keeper: object, take: (id: number) => unknown): Promise<Record<string, number>> {
  for (let id = 0; id < IDS; id++) {
    const taken = take(id);
    if (taken instanceof Promise) await taken;
    // as requests do, which come in turns of their own: what a weak reference was made of is held until the turn ends
    if (id % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return heldCollections(keeper);
}

/** Vitest keeps each promise that it is told to expect something of, until the test ends: a million of them fill its memory. */
async function isRefused(asked: unknown): Promise<void> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof KeyholeError) return;
    throw error;
  }
  throw new Error('was not refused');
}

/** Always the same data key: it opens whatever was wrapped. */
class OneDataKey implements WrappingKey {
  readonly provider = 'one';
  readonly name = 'one-key';
  refusal: KeyholeError | undefined;
  readonly holds = (): 'yes' => 'yes';
  readonly generateDataKey = (): Promise<{ keyId: string; plaintext: Uint8Array; wrapped: Uint8Array }> =>
    Promise.resolve({ keyId: 'one-key', plaintext: new Uint8Array(32), wrapped: new Uint8Array(16) });
  readonly unwrap = (): Promise<{ keyId: string; plaintext: Uint8Array }> =>
    this.refusal === undefined
      ? Promise.resolve({ keyId: 'one-key', plaintext: new Uint8Array(32) })
      : Promise.reject(this.refusal);
}

function dataKeys(key: OneDataKey): DataKeys {
  const keyring = new Keyring([{ namespaces: ['*'], wrap: () => key, sharesKey: true }]);
  const calls = new KeyCalls({ callsPerSecond: 1_000_000_000, now: clock.monotonic });
  return new DataKeys({ keyring, calls, clock });
}

function wrappedAs(id: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(id)]).buffer);
}

test(`of ${IDS} verified tokens 10,000 are remembered`, async () => {
  const fetchJson = (): Promise<never> => Promise.reject(new Error('nothing is fetched'));
  const issuer = { issuer: 'https://idp.example/', jwks: undefined, ca: undefined };
  const keys = new KeySet({ ...issuer, fetchJson, clock, logger: silentLogger });
  const verified = new VerifiedTokens(clock);
  const remembered = await kept(verified, (id) => {
    verified.remember(`digest ${id}`, principal(`${id}@example.com`), keys, 0);
  });
  expect(remembered).toEqual({ '#byDigest': 10_000 });
});

test(`of ${IDS} tokens that are not good nothing is kept`, async () => {
  const issuer = { issuer: 'https://idp.example/', audience: ['keyhole'] };
  const fetchJson = (): Promise<unknown> => Promise.resolve({ keys: [] });
  const verifier = new TokenVerifier({ issuers: [issuer], fetchJson, clock });
  const refused = await kept(verifier, async (id) => {
    await isRefused(verifier.authenticate(`Bearer a.b.${id}`, patient()));
  });
  expect(refused).toEqual({});
});

test(`of ${IDS} callers 10,000 have a budget, and none keeps a share of what is held`, async () => {
  const budgets = new CallerBudgets(clock);
  const admission = new Admission();
  const callers = await kept({ budgets, admission }, async (id) => {
    const caller = { ...principal(undefined), subject: `auth0|${id}` };
    const share = shareOf(caller, DEFAULT_LIMITS);
    budgets.takeRequest(caller, DEFAULT_LIMITS);
    const body = { share, bytes: 0, isWhole: false, isSlow: false };
    admission.hold(body, 1, DEFAULT_LIMITS);
    await admission.during(DEFAULT_LIMITS, (place) =>
      admission.whileArriving(place, body, DEFAULT_LIMITS, () => Promise.resolve()),
    );
    admission.release(body);
  });
  expect(callers).toEqual({ 'budgets.#budgets': 10_000 });
});

test(`of ${IDS} sessions that people ended 10,000 are known as ended`, async () => {
  const ended = new EndedIds(clock);
  const ids = await kept(ended, (id) => {
    ended.add(`session ${id}`, 60_000);
  });
  expect(ids).toEqual({ '#ids': 10_000 });
});

test(`of ${IDS} networks and requests of strangers 64 are counted by themselves`, async () => {
  const refusals = new StrangerRefusals({ write: () => Promise.resolve(), clock, everyMs: 2 ** 31 - 1 });
  ending.push(() => refusals.end());
  const counted = await kept(refusals, (id) => {
    const asked = { requestId: `request ${id}`, route: '/decode', namespace: `n${id}.a1b2c` };
    const address = `2001:db8:${(id >>> 16).toString(16)}:${(id & 0xffff).toString(16)}::1`;
    refusals.add({ ...asked, address, status: 401, code: 'token_missing', message: undefined });
  });
  expect(counted).toEqual({ '#counts': 65 });
});

/** Alice has access to every namespace, by herself and by a group that each has of its own. */
class ManyNamespaces implements CloudOperations {
  page<L extends keyof CloudLists>(list: L, { of }: PageQuestion): Promise<Page<CloudLists[L]>> {
    const access = { permission: 1, permissionDeprecated: '' };
    const assignment: CloudAssignment = { id: 'alice', email: ALICE, access, inherited: false };
    const rows: Partial<Record<keyof CloudLists, CloudLists[keyof CloudLists]>> = {
      userAssignments: assignment,
      groupAssignments: { ...assignment, id: `group of ${of}`, email: '' },
      members: 'alice',
    };
    const row = rows[list] as CloudLists[L] | undefined;
    if (row === undefined) return Promise.reject(new OperationsError('PERMISSION_DENIED', 'not authorized'));
    return Promise.resolve({ rows: [row], nextPageToken: '' });
  }

  accountId = (): Promise<string> => Promise.resolve('a1b2c');
  seesAccess = (): Promise<boolean> => Promise.resolve(false);
  close = (): void => undefined;
}

test(`of ${IDS} namespaces the lists of 1,000 are kept, and of as many groups the members of 10,000`, async () => {
  const options = { address: 'localhost:1', apiVersion: 'v0.13.0', apiKey: fixedApiKey('any') };
  const roles = new TemporalCloudRoles({ ...options, clock, operations: new ManyNamespaces() });
  ending.push(() => {
    roles.close();
  });
  const lists = await kept(roles, (id) => roles.rolesOf(principal(ALICE), `n${id}.a1b2c`, patient()));
  expect(lists).toEqual({
    '#directory.assignments.#byName': 1_000,
    '#directory.groupAssignments.#byName': 1_000,
    '#directory.members.#byName': 10_000,
    '#giving': expect.toSatisfy((size: number) => size > 0 && size <= 1_000) as number,
  });
});

test(`of ${IDS} namespaces 10,000 have a live data key and wrapping keys at hand`, async () => {
  const keys = dataKeys(new OneDataKey());
  const live = await kept(keys, (id) => keys.live(`n${id}.a1b2c`, 1));
  expect(live).toEqual({
    '#sealing.#live': 10_000,
    // one keyring, seen from three places
    '#keyring.#resolved': 10_000,
    '#sealing.#keyring.#resolved': 10_000,
    '#opened.#options.keyring.#resolved': 10_000,
  });
});

test(`of ${IDS} data keys 1,000 stay opened`, async () => {
  const keys = dataKeys(new OneDataKey());
  const { keyId, commitment = null } = await keys.live(NAMESPACE, 1);
  const opened = await kept(keys, (id) =>
    keys.opening({ namespace: NAMESPACE, bound: true, keyId, wrapped: wrappedAs(id), commitment }),
  );
  expect(opened).toEqual({ '#opened.#opened': 1_000 });
});

test(`of ${IDS} data keys that a service refused to open 1,000 are remembered`, async () => {
  const key = new OneDataKey();
  const keys = dataKeys(key);
  const { keyId, commitment = null } = await keys.live(NAMESPACE, 1);
  key.refusal = new KeyholeError('key_wrong_context', 'not wrapped for this namespace');
  const refused = await kept(keys, async (id) => {
    const reference = { namespace: NAMESPACE, bound: true, keyId, wrapped: wrappedAs(id), commitment };
    await isRefused(keys.opening(reference));
  });
  expect(refused).toEqual({
    // of the one that makes the calls, seen from three places
    '#calls.#refusals': 1_000,
    '#sealing.#calls.#refusals': 1_000,
    '#opened.#options.calls.#refusals': 1_000,
  });
});

test(`of ${IDS} wrapping keys that services resolved, the namespaces of 10,000 are noted`, async () => {
  const keyring = new Keyring([{ namespaces: ['*'], wrap: () => new OneDataKey(), sharesKey: true }]);
  const noted = await kept(keyring, (id) => keyring.noteUse(`key ${id}`, NAMESPACE));
  expect(noted).toEqual({ '#servedBy': 10_000 });
});

test(`of ${IDS} wrapping keys that fail 1,000 are kept in mind`, async () => {
  const breaker = new Breaker(clock.monotonic);
  const failing = await kept(breaker, (id) => {
    breaker.failed(`key ${id}`, 0);
  });
  expect(failing).toEqual({ '#failing': 1_000 });
});

test(`of ${IDS} versions of one Azure key that payloads name 32 keep a client`, async () => {
  const result = new Uint8Array(32);
  const key = azureKeyVault({
    key: 'https://vault.example/keys/one',
    keyClient: { getKey: () => Promise.resolve({}) },
    cryptographyClient: ({ id }) => ({
      wrapKey: () => Promise.resolve({ result, keyID: id }),
      unwrapKey: () => Promise.resolve({ result, keyID: id }),
    }),
  })(NAMESPACE);
  const { signal } = new AbortController();
  const clients = await kept(key, (id) => {
    const version = id.toString(16).padStart(32, '0');
    const context = { namespace: null, signal };
    return key.unwrap(new Uint8Array(256), `https://vault.example/keys/one/${version}`, context);
  });
  expect(clients).toEqual({ '#versions.#clients': 32 });
});
