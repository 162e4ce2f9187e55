// The live data keys: one a namespace seals, and is replaced before it is used up or old.
import { ageMs, driftMs, momentOf, type Clock, type Moment } from '../clock.js';
import { KeyholeError } from '../errors.js';
import type { DerivedKey } from './data-key.js';
import { keepBounded } from './keep-bounded.js';
import { checkedGenerated, derivedAndZeroed } from './key-answers.js';
import type { KeyCalls } from './key-calls.js';
import type { Keyring, NoteUse, WriteFormat } from './keyring.js';

/** A live data key, and what a payload sealed under it records. */
export interface SealingKey extends DerivedKey {
  readonly format: WriteFormat;
  readonly keyId: string;
  readonly wrapped: Uint8Array;
}

export interface SealingKeysOptions {
  readonly keyring: Keyring;
  readonly calls: KeyCalls;
  readonly maxAgeMs: number;
  readonly clock: Clock;
  readonly noteUse: NoteUse;
}

/** Fixed limits of one data key (docs/format.md, "Limits of one data key"; NIST SP 800-38D §8.3). */
export const MAX_MESSAGES = 2 ** 20;
export const MAX_BYTES = 16 * 2 ** 30;

/** A machine that was suspended or cloned may repeat nonces: then its clocks disagree. */
const MAX_DRIFT_MS = 5_000;
/** Live keys kept; beyond it the one that was made first is dropped. */
const MAX_LIVE = 10_000;
/** A successor that could not be made is tried for again after this long. */
const REFRESH_EVERY_MS = 5_000;
/** Fresh keys asked for one payload; more would only be needed where keys are too old before they arrive. */
const MAX_FRESH = 3;

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

export class SealingKeys {
  readonly #keyring: Keyring;
  readonly #calls: KeyCalls;
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #noteUse: NoteUse;
  readonly #live = new Map<string, LiveKey>();
  readonly #making = new Map<string, Promise<LiveKey>>();
  #generation = 0;

  constructor({ keyring, calls, maxAgeMs, clock, noteUse }: SealingKeysOptions) {
    this.#keyring = keyring;
    this.#calls = calls;
    this.#maxAgeMs = maxAgeMs;
    this.#clock = clock;
    this.#noteUse = noteUse;
  }

  /** As `DataKeys.live`. */
  live(namespace: string, bytes: number, onAsking?: () => void): SealingKey | Promise<SealingKey> {
    const key = this.#live.get(namespace);
    if (key === undefined || !this.#take(key, namespace, bytes)) {
      onAsking?.();
      return this.#liveLater(namespace, bytes);
    }
    if (ageMs(this.#clock, key.made) > this.#maxAgeMs / 2) this.#refreshAhead(namespace, key);
    return key;
  }

  /** Drops every live key: the next payload is sealed under a fresh one. */
  rotate(): void {
    this.#generation += 1;
    this.#live.clear();
    this.#making.clear();
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
    if (driftMs(this.#clock, key.made) > MAX_DRIFT_MS || ageMs(this.#clock, key.made) >= this.#maxAgeMs)
      return false;
    if (key.messages >= MAX_MESSAGES || key.bytes + bytes > MAX_BYTES) return false;
    key.messages += 1;
    key.bytes += bytes;
    return true;
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
    const made = momentOf(this.#clock);
    const generation = this.#generation;
    const { keyId, wrapped, plaintext } = await this.#calls.run(
      'generate',
      wrap,
      bound ? namespace : null,
      refusalKey,
      async (context) => checkedGenerated(await wrap.generateDataKey(context), wrap, context.signal),
    );
    const identity = wrap.identityOf?.(keyId) ?? keyId;
    this.#noteUse({ identity, name: wrap.name }, namespace);
    const derived = derivedAndZeroed(plaintext, bound, namespace, keyId);
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
}
