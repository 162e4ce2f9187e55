// What every wrapping key must do, as tests that run against a real key service.
import { deepEqual, equal, notDeepEqual, ok } from 'node:assert/strict';
import { inspect } from 'node:util';
import { isKeyholeError, type KeyholeError, type KeyholeErrorCode } from '../errors.js';
import { DATA_KEY_BYTES } from './data-key.js';
import { DataKeys } from './data-keys.js';
import { KeyCalls } from './key-calls.js';
import { Keyring } from './keyring.js';
import { aFunction, aList, assertOptions, optional, type Forms } from './options.js';
import type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from './wrapping-key.js';

/** What can befall a key service. Each holds until the test's end. */
export type Misfortune =
  /** The key's operator has disabled it, or the version that wrapped. */
  | 'disabled'
  | 'deleted'
  /** Our credentials may not use the key. */
  | 'denied'
  /** The service asks us to slow down, without saying for how long. */
  | 'throttled'
  /** … for 7 seconds. */
  | 'throttledFor7Seconds'
  /** The service answers that something went wrong on its side. */
  | 'failing'
  /** Requests arrive and are never answered. */
  | 'silent'
  /** Connections are cut. */
  | 'dead'
  /** What is answered with success makes no sense. */
  | 'garbage';

/** A key service with two fresh keys, for one test. */
export interface KeyServiceUnderTest {
  readonly key: WrappingKey;
  /** Another key of the same service. */
  readonly otherKey: WrappingKey;
  /** Wraps bytes under `key` and binds them to a namespace, past Keyhole; undefined for what the service refuses. */
  readonly wrap: (
    bytes: Uint8Array,
    namespace: string,
  ) => Promise<Pick<GeneratedDataKey, 'keyId' | 'wrapped'> | undefined>;
  /** Requests that have reached the service so far. */
  readonly requests: () => number;
  /** Lets it happen. May leave out what the contract is told to be run `without`. */
  readonly befall: Partial<Record<Misfortune, () => unknown>>;
  readonly close?: () => unknown;
}

export interface WrappingKeyContractOptions {
  /** `test` of vitest, jest or `node:test`: defines a test that fails if its body rejects. */
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  readonly open: () => KeyServiceUnderTest | Promise<KeyServiceUnderTest>;
  /** What this service cannot be brought to. Default is nothing. */
  readonly without?: readonly Misfortune[];
}

const NAMESPACE = 'orders.a1b2c';
/** A wrapping key gives up by itself before its caller does (4 s, see `KeyCalls`). */
const BY_ITSELF_MS = 4_000;
const GIVEN_UP_AFTER_MS = 150;
const AT_ONCE_MS = 1_000;
/** Codes that say: with this key, this data key will never open. */
const REFUSED: readonly KeyholeErrorCode[] = ['key_wrong', 'key_wrong_context', 'key_denied', 'key_gone'];

/** How each operation must fail under a misfortune. */
const REFUSALS: readonly {
  readonly when: Exclude<Misfortune, 'silent'>;
  readonly is: string;
  readonly unwrap: readonly KeyholeErrorCode[];
  /** Absent where a service may go on wrapping. */
  readonly generate?: readonly KeyholeErrorCode[];
  readonly retryAfterMs?: number;
}[] = [
  { when: 'disabled', is: 'of a disabled key is told as gone', unwrap: ['key_gone'] },
  {
    when: 'deleted',
    is: 'of a deleted key is told as gone',
    unwrap: ['key_gone'],
    generate: ['key_gone', 'key_denied'],
  },
  {
    when: 'denied',
    is: 'of a key we may not use is told as denied',
    unwrap: ['key_denied'],
    generate: ['key_denied'],
  },
  {
    when: 'throttled',
    is: 'of a throttling service is told as throttled',
    unwrap: ['key_throttled'],
    generate: ['key_throttled'],
  },
  {
    when: 'throttledFor7Seconds',
    is: 'of a service that throttles for 7 s is told with those 7 s',
    unwrap: ['key_throttled'],
    generate: ['key_throttled'],
    retryAfterMs: 7_000,
  },
  {
    when: 'failing',
    is: 'of a failing service is told as unavailable',
    unwrap: ['key_unavailable'],
    generate: ['key_unavailable'],
  },
  {
    when: 'dead',
    is: 'over a dead connection is told as unavailable',
    unwrap: ['key_unavailable'],
    generate: ['key_unavailable'],
  },
  {
    when: 'garbage',
    is: 'answered with garbage is told as such or as unavailable',
    unwrap: ['key_answer_invalid', 'key_unavailable'],
    generate: ['key_answer_invalid', 'key_unavailable'],
  },
];

const OPTIONS: Forms<WrappingKeyContractOptions> = {
  test: aFunction('the function of a test runner that defines a test'),
  open: aFunction('a function that opens a key service'),
  without: optional(
    aList('a list of misfortunes', (one) => one === 'silent' || REFUSALS.some(({ when }) => when === one)),
  ),
};

/**
 * Defines the tests that a wrapping key must pass before its data keys seal anything. Give it a real service, or one
 * that answers as the real one does: the codes are only as right as those answers are.
 *
 * @throws TypeError for options that cannot be right.
 */
export function wrappingKeyContract(options: WrappingKeyContractOptions): void {
  assertOptions('wrappingKeyContract', options, OPTIONS);
  const { test, open, without = [] } = options;
  const contract = (name: string, body: (service: KeyServiceUnderTest) => Promise<void>): void => {
    test(name, async () => {
      const service = await open();
      try {
        await body(service);
      } finally {
        await service.close?.();
      }
    });
  };
  contract('a data key opens again, for its namespace and for none', opensAgain);
  contract('the id of the wrapping key is full and its own', knowsItsIds);
  contract('what was wrapped for one namespace does not open for another or for none', bindsTheNamespace);
  contract('what another key wrapped does not open', refusesAnotherKey);
  contract('a wrapped data key that was changed or cut does not open', refusesChanges);
  contract('a data key that is not 32 bytes long opens nothing', refusesOtherLengths);
  contract('twenty that open at once, before anything else was asked, all open', opensManyAtOnce);
  for (const refusal of REFUSALS) {
    if (without.includes(refusal.when)) continue;
    contract(`the refusal ${refusal.is}`, (service) => refusesAs(service, refusal));
  }
  if (!without.includes('silent')) {
    contract('a call that is aborted ends at once', endsWhenAborted);
    contract('a call to a silent service ends by itself in time', endsByItself);
  }
}

async function opensAgain({ key }: KeyServiceUnderTest): Promise<void> {
  for (const namespace of [NAMESPACE, null]) {
    const [one, two] = [await generate(key, namespace), await generate(key, namespace)];
    equal(one.plaintext.length, DATA_KEY_BYTES);
    notDeepEqual(one.plaintext, two.plaintext, 'two data keys are the same');
    ok(
      !Buffer.from(one.wrapped).includes(Buffer.from(one.plaintext)),
      'the wrapped data key shows the data key',
    );
    for (const { keyId, wrapped, plaintext } of [one, two]) {
      deepEqual(await unwrap(key, { keyId, wrapped }, namespace), { keyId, plaintext });
    }
  }
}

async function knowsItsIds({ key, otherKey }: KeyServiceUnderTest): Promise<void> {
  const { keyId, wrapped } = await generate(key);
  ok(/^[\x20-\x7e]{1,512}$/.test(keyId), `${keyId} is not 1 to 512 printable characters`);
  ok(wrapped.length <= 8_192, 'the wrapped data key is longer than 8192 bytes');
  ok(key.holds(keyId) !== 'no', `${key.name} does not hold ${keyId}, which it made`);
  ok(otherKey.holds(keyId) !== 'yes', `${otherKey.name} claims ${keyId}, which ${key.name} made`);
  for (const id of ['', `${keyId}x`, ` ${keyId}`, keyId.slice(1), 'x'.repeat(10_000)])
    ok(key.holds(id) !== 'yes', `${key.name} claims the id ${id.slice(0, 600)}`);
}

async function bindsTheNamespace({ key }: KeyServiceUnderTest): Promise<void> {
  const wrapped = await generate(key);
  if (key.provesOrigin === false) {
    await unwrap(key, wrapped, 'billing.a1b2c');
    return;
  }
  const unbound = await generate(key, null);
  for (const namespace of ['billing.a1b2c', 'orders.a1b2', null])
    await refuses(unwrap(key, wrapped, namespace), key, ['key_wrong_context']);
  await refuses(unwrap(key, unbound), key, ['key_wrong_context']);
}

async function refusesAnotherKey({ key, otherKey }: KeyServiceUnderTest): Promise<void> {
  const [own, other] = [await generate(key), await generate(otherKey)];
  await refuses(unwrap(key, other), key, REFUSED);
  await refuses(unwrap(key, { ...other, keyId: null }), key, REFUSED);
  await refuses(unwrap(key, { ...other, keyId: own.keyId }), key, REFUSED);
  await refuses(unwrap(key, { ...own, keyId: other.keyId }), key, ['key_wrong']);
}

async function refusesChanges({ key }: KeyServiceUnderTest): Promise<void> {
  const { keyId, wrapped } = await generate(key);
  const last = wrapped.length - 1;
  for (const at of [0, last >> 1, last - 4]) {
    const changed = Uint8Array.from(wrapped);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await refuses(unwrap(key, { keyId, wrapped: changed }), key, REFUSED);
  }
  await refuses(unwrap(key, { keyId, wrapped: wrapped.subarray(0, last) }), key, REFUSED);
}

async function refusesOtherLengths({ key, wrap }: KeyServiceUnderTest): Promise<void> {
  const dataKeys = new DataKeys({
    keyring: new Keyring([{ namespaces: [NAMESPACE], wrap: () => key, sharesKey: false }]),
    calls: new KeyCalls(),
  });
  const lengths: number[] = [];
  for (const length of [33, 31, 0]) {
    const made = await wrap(new Uint8Array(length).fill(7), NAMESPACE);
    if (made === undefined) continue;
    lengths.push(length);
    const opening = async (): Promise<unknown> =>
      await dataKeys.opening({ namespace: NAMESPACE, bound: true, commitment: null, ...made });
    await refuses(opening(), key, ['key_answer_invalid']);
  }
  ok(lengths.includes(33), 'the service under test wrapped no 33 bytes');
}

async function opensManyAtOnce({ key, wrap }: KeyServiceUnderTest): Promise<void> {
  const dataKey = new Uint8Array(DATA_KEY_BYTES).fill(7);
  const made = await wrap(dataKey, NAMESPACE);
  ok(made, 'the service under test wrapped no 32 bytes');
  const opened = await Promise.all(Array.from({ length: 20 }, () => unwrap(key, made)));
  for (const { plaintext } of opened) deepEqual(plaintext, dataKey);
}

async function refusesAs(service: KeyServiceUnderTest, refusal: (typeof REFUSALS)[number]): Promise<void> {
  const { key } = service;
  const made = await generate(key);
  const before = service.requests();
  await unwrap(key, made);
  const usual = service.requests() - before;
  await befall(service, refusal.when);
  const unwrapping = await refuses(unwrap(key, made), key, refusal.unwrap, made.plaintext);
  const requests = service.requests() - before - usual;
  ok(requests <= usual, `${requests} requests where ${usual} do: retries are the caller's`);
  equal(unwrapping.retryAfterMs, refusal.retryAfterMs);
  if (refusal.generate === undefined) return;
  const generating = await refuses(generate(key), key, refusal.generate);
  equal(generating.retryAfterMs, refusal.retryAfterMs);
}

async function endsWhenAborted(service: KeyServiceUnderTest): Promise<void> {
  const { key } = service;
  const made = await generate(key);
  await befall(service, 'silent');
  const giveUp = (): AbortSignal => AbortSignal.timeout(GIVEN_UP_AFTER_MS);
  for (const work of [
    () => unwrap(key, made, NAMESPACE, giveUp()),
    () => generate(key, NAMESPACE, giveUp()),
    () => unwrap(key, made, NAMESPACE, AbortSignal.abort()),
  ])
    await refuses(within(GIVEN_UP_AFTER_MS + AT_ONCE_MS, work()), key, ['key_unavailable']);
}

async function endsByItself(service: KeyServiceUnderTest): Promise<void> {
  const { key } = service;
  const made = await generate(key);
  await befall(service, 'silent');
  const usual = service.requests();
  await Promise.all([
    refuses(within(BY_ITSELF_MS, unwrap(key, made)), key, ['key_unavailable']),
    refuses(within(BY_ITSELF_MS, generate(key)), key, ['key_unavailable']),
  ]);
  ok(service.requests() - usual <= 2, 'retries are the caller’s');
}

async function generate(
  key: WrappingKey,
  namespace: string | null = NAMESPACE,
  signal: AbortSignal = new AbortController().signal,
): Promise<GeneratedDataKey> {
  const context: KeyContext = { namespace, signal };
  const { keyId, plaintext, wrapped } = await key.generateDataKey(context);
  return { keyId, plaintext: Uint8Array.from(plaintext), wrapped: Uint8Array.from(wrapped) };
}

async function unwrap(
  key: WrappingKey,
  { keyId, wrapped }: { readonly keyId: string | null; readonly wrapped: Uint8Array },
  namespace: string | null = NAMESPACE,
  signal: AbortSignal = new AbortController().signal,
): Promise<UnwrappedDataKey> {
  const opened = await key.unwrap(wrapped, keyId, { namespace, signal });
  return { keyId: opened.keyId, plaintext: Uint8Array.from(opened.plaintext) };
}

async function befall(service: KeyServiceUnderTest, misfortune: Misfortune): Promise<void> {
  const happen = service.befall[misfortune];
  ok(happen, `the service under test knows no ${misfortune}, and the contract is not run without it`);
  await happen();
}

/** The error that `work` ends with: of one of these codes, with the key's name, and without the data key. */
async function refuses(
  work: Promise<unknown>,
  key: WrappingKey,
  codes: readonly KeyholeErrorCode[],
  dataKey?: Uint8Array,
): Promise<KeyholeError> {
  const outcome = await work.then(
    () => 'an answer',
    (error: unknown) => error,
  );
  ok(isKeyholeError(outcome), `expected a KeyholeError, came ${inspect(outcome)}`);
  ok(codes.includes(outcome.code), `expected ${codes.join(' or ')}, came ${inspect(outcome)}`);
  ok(outcome.message.includes(key.name), `"${outcome.message}" does not name the key ${key.name}`);
  if (dataKey !== undefined) assertHides(inspect(outcome, { depth: 10 }), dataKey);
  return outcome;
}

function assertHides(text: string, dataKey: Uint8Array): void {
  for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const)
    ok(!text.includes(Buffer.from(dataKey).toString(encoding)), `an error shows the data key in ${encoding}`);
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`nothing came within ${ms} ms`));
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
