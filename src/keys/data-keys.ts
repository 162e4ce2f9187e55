// The data keys in use: one live key per namespace for sealing, a bounded cache for opening.
import { KeyholeError, isKeyholeError } from '../errors.js';
import type { Observer } from '../observer.js';
import { assertCommitment, bareKey, DATA_KEY_BYTES, deriveBoundKey, type DerivedKey } from './data-key.js';
import type { KeyCalls } from './key-calls.js';
import type { Keyring, WriteFormat } from './keyring.js';
import type { GeneratedDataKey, UnwrappedDataKey, WrappingKey } from './wrapping-key.js';

export interface DataKeysOptions {
  readonly keyring: Keyring;
  readonly calls: KeyCalls;
  /** How long one data key seals payloads. Default is 15 minutes, at most 24 hours. */
  readonly maxAgeMs?: number;
  /** Opened data keys kept. Default is 1000. */
  readonly cacheEntries?: number;
  /** How long an opened data key is kept, from its unwrapping on. Default is 300000. */
  readonly cacheTtlMs?: number;
  readonly observer?: Observer;
  readonly clock?: Clock;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  wall(): number;
  /** Milliseconds that never go back. */
  monotonic(): number;
}

/** A live data key, and what a payload sealed under it records. */
export interface SealingKey extends DerivedKey {
  readonly format: WriteFormat;
  readonly keyId: string;
  readonly wrapped: Uint8Array;
}

/** What a sealed payload says of its data key. */
export interface DataKeyReference {
  /** The namespace whose keys may open it. */
  readonly namespace: string;
  /** Whether the payload is bound to that namespace. */
  readonly bound: boolean;
  /** The wrapping key's id as recorded, where the format records one; the service is not told it where `by` is given. */
  readonly keyId: string | null;
  readonly wrapped: Uint8Array;
  readonly commitment: Uint8Array | null;
  /** The one key that may unwrap it, where the format finds it by itself. Default is by `keyId`, else any that may open. */
  readonly by?: WrappingKey;
}

/** What was found out about a reference. */
interface Known {
  readonly cacheKey: string;
  /** The key that its commitment was seen to name. */
  committedTo: OpeningKey | undefined;
}

/** An opened data key. */
export interface OpeningKey extends DerivedKey {
  /** What tells the wrapping key that unwrapped it from others (`WrappingKey.identityOf`). */
  readonly identity: string;
  /** Its configured name, for records. */
  readonly name: string;
}

/** Fixed limits of one data key (docs/format.md, "Limits of one data key"; NIST SP 800-38D §8.3). */
export const MAX_MESSAGES = 2 ** 20;
export const MAX_BYTES = 16 * 2 ** 30;

/** What a payload's metadata can record (docs/format.md, "The payload"). */
const KEY_ID = /^[\x20-\x7e]{1,512}$/;

const MAX_AGE_CAP_MS = 24 * 3_600_000;
/** A machine that was suspended or cloned may repeat nonces: then its clocks disagree. */
const MAX_DRIFT_MS = 5_000;
/** Live keys kept; beyond it the one that was made first is dropped. */
const MAX_LIVE = 10_000;
/** A successor that could not be made is tried for again after this long. */
const REFRESH_EVERY_MS = 5_000;
/** Fresh keys asked for one payload; more would only be needed where keys are too old before they arrive. */
const MAX_FRESH = 3;

/** A moment on both clocks. */
interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

interface LiveKey extends SealingKey {
  /** What tells its wrapping key from others (`WrappingKey.identityOf`). */
  readonly identity: string;
  readonly made: Moment;
  /** How often keys had been rotated when it was asked for. */
  readonly generation: number;
  messages: number;
  bytes: number;
  /** When its successor was last asked for, in monotonic milliseconds. */
  refreshedMs: number;
}

export const systemClock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };

/** One instance a process; data keys are never shared between processes or namespaces. */
export class DataKeys {
  readonly #keyring: Keyring;
  readonly #calls: KeyCalls;
  readonly #maxAgeMs: number;
  readonly #cacheEntries: number;
  readonly #cacheTtlMs: number;
  readonly #observer: Observer | undefined;
  readonly #clock: Clock;
  readonly #live = new Map<string, LiveKey>();
  readonly #making = new Map<string, Promise<LiveKey>>();
  readonly #opened = new Map<string, { readonly key: OpeningKey; readonly opened: Moment }>();
  readonly #opening = new Map<string, Promise<OpeningKey>>();
  readonly #known = new WeakMap<DataKeyReference, Known>();
  #generation = 0;

  constructor(options: DataKeysOptions) {
    this.#keyring = options.keyring;
    this.#calls = options.calls;
    this.#maxAgeMs = within(options.maxAgeMs ?? 900_000, MAX_AGE_CAP_MS, 'maxAgeMs');
    this.#cacheEntries = within(options.cacheEntries ?? 1_000, 1_000_000, 'cacheEntries');
    this.#cacheTtlMs = within(options.cacheTtlMs ?? 300_000, MAX_AGE_CAP_MS, 'cacheTtlMs');
    this.#observer = options.observer;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * The key that seals the next payload of a namespace. One message and `bytes` are taken from its limits before
   * it is handed out, so concurrent writers never pass them. Synchronous while the live key is good.
   *
   * @throws KeyholeError `key_not_configured`, `format_not_enabled` (a format that binds no namespace, under a key
   * that serves several), or what the key service says.
   */
  live(namespace: string, bytes: number): SealingKey | Promise<SealingKey> {
    const key = this.#live.get(namespace);
    if (key === undefined || !this.#take(key, namespace, bytes)) return this.#liveLater(namespace, bytes);
    if (this.#ageMs(key.made) > this.#maxAgeMs / 2) this.#refreshAhead(namespace, key);
    return key;
  }

  /**
   * The key that opens a payload, once its commitment matches. Synchronous while it is cached.
   *
   * @throws KeyholeError `not_opened` (the commitment differs), `key_not_configured`, `format_not_enabled`, or what
   * the key service says.
   */
  opening(reference: DataKeyReference): OpeningKey | Promise<OpeningKey> {
    const known = this.#knownOf(reference);
    const cached = this.#cached(known.cacheKey);
    this.#observer?.({ type: 'key_cache', hit: cached !== undefined });
    if (cached !== undefined) return this.#checked(cached, reference, known);
    return this.#openingOnce(known.cacheKey, reference).then((key) => this.#checked(key, reference, known));
  }

  /** Asked for with every payload, though most payloads of a request share one reference. */
  #knownOf(reference: DataKeyReference): Known {
    let known = this.#known.get(reference);
    if (known === undefined) {
      known = { cacheKey: cacheKeyOf(reference), committedTo: undefined };
      this.#known.set(reference, known);
    }
    return known;
  }

  /** The key of `opening`, if it is at hand; for records, so no event tells of it. */
  opened(reference: DataKeyReference): OpeningKey | undefined {
    return this.#cached(this.#knownOf(reference).cacheKey);
  }

  /**
   * A key that is configured itself, not unwrapped, and binds no namespace.
   *
   * @throws KeyholeError `format_not_enabled` if it serves another namespace too.
   */
  onlyIn(namespace: string, key: OpeningKey): OpeningKey {
    this.#noteUse(key, namespace);
    this.#keyring.assertServesOnly(key.identity, namespace);
    return key;
  }

  /** Drops every live key: the next payload is sealed under a fresh one (for images and snapshots). */
  rotate(): void {
    this.#generation += 1;
    this.#live.clear();
    this.#making.clear();
  }

  /** Drops live keys, opened keys and remembered refusals (SIGHUP). */
  clear(): void {
    this.rotate();
    this.#opened.clear();
    this.#opening.clear();
    this.#calls.clear();
  }

  async #liveLater(namespace: string, bytes: number): Promise<SealingKey> {
    for (let fresh = 0; fresh < MAX_FRESH; fresh++) {
      const key = await this.#makeOnce(namespace);
      if (this.#take(key, namespace, bytes)) return key;
      if (this.#live.get(namespace) === key) this.#live.delete(namespace);
    }
    throw new KeyholeError(
      'key_unavailable',
      `each data key of namespace ${namespace} was too old when it came`,
    );
  }

  /** False once the key was rotated out, is too old, used up, or the machine was suspended since it was made. */
  #take(key: LiveKey, namespace: string, bytes: number): boolean {
    if (bytes > MAX_BYTES)
      throw new KeyholeError('seal_failed', 'a payload is larger than a data key may seal');
    if (key.commitment === undefined) this.#keyring.assertServesOnly(key.identity, namespace);
    if (key.generation !== this.#generation) return false;
    if (this.#driftMs(key.made) > MAX_DRIFT_MS || this.#ageMs(key.made) >= this.#maxAgeMs) return false;
    if (key.messages >= MAX_MESSAGES || key.bytes + bytes > MAX_BYTES) return false;
    key.messages += 1;
    key.bytes += bytes;
    return true;
  }

  #now(): Moment {
    return { wallMs: this.#clock.wall(), monotonicMs: this.#clock.monotonic() };
  }

  /** The larger of both clocks' answers: the monotonic one stands still while a machine is suspended. */
  #ageMs({ wallMs, monotonicMs }: Moment): number {
    return Math.max(this.#clock.wall() - wallMs, this.#clock.monotonic() - monotonicMs);
  }

  #driftMs({ wallMs, monotonicMs }: Moment): number {
    return Math.abs(this.#clock.wall() - wallMs - (this.#clock.monotonic() - monotonicMs));
  }

  /** At half its age a key's successor is made in the background: a short outage of the key service goes unseen. */
  #refreshAhead(namespace: string, key: LiveKey): void {
    const nowMs = this.#clock.monotonic();
    if (this.#making.has(namespace) || nowMs - key.refreshedMs < REFRESH_EVERY_MS) return;
    key.refreshedMs = nowMs;
    this.#makeOnce(namespace).catch(() => undefined); // the live key goes on; key-calls has reported it
  }

  #makeOnce(namespace: string): Promise<LiveKey> {
    const making = this.#making.get(namespace);
    if (making !== undefined) return making;
    const made = this.#make(namespace)
      .then((key) => {
        if (key.generation === this.#generation) keepBounded(this.#live, namespace, key, MAX_LIVE);
        return key;
      })
      .finally(() => {
        if (this.#making.get(namespace) === made) this.#making.delete(namespace);
      });
    this.#making.set(namespace, made);
    return made;
  }

  async #make(namespace: string): Promise<LiveKey> {
    const { wrap, write } = this.#keyring.forNamespace(namespace);
    const bound = write === 'keyhole/v1';
    const refusalKey = `generate ${wrap.provider} ${wrap.name} ${namespace}`;
    const made = this.#now();
    const generation = this.#generation;
    const { keyId, wrapped, plaintext } = await this.#calls.run(
      'generate',
      wrap,
      bound ? namespace : null,
      refusalKey,
      async (context) => checkGenerated(await wrap.generateDataKey(context), wrap, context.signal),
    );
    const identity = wrap.identityOf?.(keyId) ?? keyId;
    this.#noteUse({ identity, name: wrap.name }, namespace);
    const derived = deriveAndZero(plaintext, bound, namespace, keyId);
    return {
      ...derived,
      identity,
      format: write,
      keyId,
      wrapped,
      made,
      generation,
      messages: 0,
      bytes: 0,
      refreshedMs: made.monotonicMs,
    };
  }

  #cached(cacheKey: string): OpeningKey | undefined {
    const entry = this.#opened.get(cacheKey);
    if (entry === undefined) return undefined;
    if (this.#ageMs(entry.opened) < this.#cacheTtlMs) return entry.key;
    this.#opened.delete(cacheKey);
    return undefined;
  }

  #checked(key: OpeningKey, reference: DataKeyReference, known: Known): OpeningKey {
    if (!reference.bound) this.#keyring.assertServesOnly(key.identity, reference.namespace);
    if (known.committedTo !== key) assertCommitment(key, reference.commitment, key.name);
    known.committedTo = key;
    return key;
  }

  #noteUse({ identity, name }: { identity: string; name: string }, namespace: string): void {
    const first = this.#keyring.noteUse(identity, namespace);
    if (first === undefined) return;
    this.#observer?.({ type: 'key_shared', key: name, namespaces: [first, namespace] });
  }

  #openingOnce(cacheKey: string, reference: DataKeyReference): Promise<OpeningKey> {
    const opening = this.#opening.get(cacheKey);
    if (opening !== undefined) return opening;
    const generation = this.#generation;
    const startedAt = this.#now();
    const opened = this.#unwrap(cacheKey, reference)
      .then((key) => {
        if (generation === this.#generation)
          keepBounded(this.#opened, cacheKey, { key, opened: startedAt }, this.#cacheEntries);
        return key;
      })
      .finally(() => {
        if (this.#opening.get(cacheKey) === opened) this.#opening.delete(cacheKey);
      });
    this.#opening.set(cacheKey, opened);
    return opened;
  }

  /** With the one key that is configured under this id; where only services can tell, with each that may hold it. */
  async #unwrap(cacheKey: string, reference: DataKeyReference): Promise<OpeningKey> {
    const { namespace, bound, wrapped, by } = reference;
    const keyId = by === undefined ? reference.keyId : null;
    const candidates =
      by === undefined ? candidatesFor(this.#keyring.forNamespace(namespace).unwrap, keyId) : [by];
    let refusal: KeyholeError | undefined;
    for (const key of candidates) {
      try {
        const refusalKey = `unwrap ${key.provider} ${key.name} ${cacheKey}`;
        const opened = await this.#calls.run(
          'unwrap',
          key,
          bound ? namespace : null,
          refusalKey,
          async (context) => checkUnwrapped(await key.unwrap(wrapped, keyId, context), key, context.signal),
        );
        const identity = key.identityOf?.(opened.keyId) ?? opened.keyId;
        this.#noteUse({ identity, name: key.name }, namespace);
        const derived = deriveAndZero(opened.plaintext, bound, namespace, keyId ?? opened.keyId);
        return { ...derived, identity, name: key.name };
      } catch (error) {
        if (!isKeyholeError(error) || !isAnotherKeys(error, keyId)) throw error;
        refusal = error;
      }
    }
    throw (
      refusal ??
      new KeyholeError(
        'key_not_configured',
        `no wrapping key configured for namespace ${namespace} has the payload's key id`,
      )
    );
  }
}

function candidatesFor(keys: readonly WrappingKey[], keyId: string | null): readonly WrappingKey[] {
  if (keyId === null) return keys;
  const named = keys.filter((key) => key.holds(keyId) === 'yes');
  return named.length > 0 ? named.slice(0, 1) : keys.filter((key) => key.holds(keyId) === 'maybe');
}

/**
 * Most services cannot tell another key's data key from a changed one. Where the payload records no id, the next of
 * the configured keys is then asked.
 */
function isAnotherKeys({ code }: KeyholeError, keyId: string | null): boolean {
  return code === 'key_wrong' || (code === 'key_wrong_context' && keyId === null);
}

/** The parts in a form in which no two references are the same; a digest would cost a microsecond a payload. */
function cacheKeyOf({ namespace, bound, keyId, wrapped, by }: DataKeyReference): string {
  const text = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength).toString('latin1');
  const kind = bound ? 'bound' : by === undefined ? 'unbound' : 'by';
  return `${kind} ${namespace} ${wrapped.length} ${text} ${keyId ?? ''}`;
}

/** Replaces what is kept under `name`; beyond `most` entries the one that came first goes. */
function keepBounded<T>(kept: Map<string, T>, name: string, value: T, most: number): void {
  kept.delete(name);
  const [oldest] = kept.keys();
  if (kept.size >= most && oldest !== undefined) kept.delete(oldest);
  kept.set(name, value);
}

/** The last use of the data key's own bytes. */
function deriveAndZero(plaintext: Uint8Array, bound: boolean, namespace: string, keyId: string): DerivedKey {
  const derived = bound ? deriveBoundKey(plaintext, namespace, keyId) : bareKey(plaintext);
  plaintext.fill(0);
  return derived;
}

function checkGenerated(answer: GeneratedDataKey, key: WrappingKey, signal: AbortSignal): GeneratedDataKey {
  checkUnwrapped(answer, key, signal);
  if (!KEY_ID.test(answer.keyId))
    throw badAnswer(answer, key, 'an id of the wrapping key that is not 1 to 512 printable bytes long');
  if (answer.wrapped.length < 1 || answer.wrapped.length > 8192)
    throw badAnswer(answer, key, 'a wrapped data key that is not 1 to 8192 bytes long');
  return answer;
}

function checkUnwrapped<T extends UnwrappedDataKey>(answer: T, key: WrappingKey, signal: AbortSignal): T {
  if (answer.plaintext.length !== DATA_KEY_BYTES)
    throw badAnswer(answer, key, `a data key that is not ${DATA_KEY_BYTES} bytes long`);
  if (signal.aborted) throw badAnswer(answer, key, 'too late');
  return answer;
}

/** Nobody will use the data key that came with it. */
function badAnswer({ plaintext }: UnwrappedDataKey, key: WrappingKey, what: string): KeyholeError {
  plaintext.fill(0);
  return new KeyholeError(
    'key_answer_invalid',
    `the key service answered ${what} for ${key.provider} key ${key.name}`,
  );
}

function within(value: number, cap: number, name: string): number {
  if (Number.isFinite(value) && value > 0 && value <= cap) return value;
  throw new TypeError(`${name} must be above 0 and at most ${cap}`);
}
