// The data keys of one process: those that seal, those that open, and the namespaces that they may serve.
import { systemClock, type Clock } from '../clock.js';
import type { Observer } from '../observer.js';
import type { KeyCalls } from './key-calls.js';
import type { Keyring } from './keyring.js';
import { OpenedKeys, type DataKeyReference, type OpeningKey } from './opened-keys.js';
import { SealingKeys, type SealingKey } from './sealing-keys.js';

export type { DataKeyReference, OpeningKey } from './opened-keys.js';
export type { SealingKey } from './sealing-keys.js';

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

/** No data key seals or is kept for longer. */
export const MAX_AGE_CAP_MS = 24 * 3_600_000;

/** One instance a process; data keys are never shared between processes or namespaces. */
export class DataKeys {
  readonly #keyring: Keyring;
  readonly #calls: KeyCalls;
  readonly #observer: Observer | undefined;
  readonly #sealing: SealingKeys;
  readonly #opened: OpenedKeys;

  /** @throws TypeError for an option out of bounds. */
  constructor(options: DataKeysOptions) {
    const { keyring, calls, observer, clock = systemClock } = options;
    this.#keyring = keyring;
    this.#calls = calls;
    this.#observer = observer;
    const common = { keyring, calls, observer, clock, noteUse: this.#noteUse.bind(this) };
    this.#sealing = new SealingKeys({
      ...common,
      maxAgeMs: within(options.maxAgeMs ?? 900_000, MAX_AGE_CAP_MS, 'maxAgeMs'),
    });
    this.#opened = new OpenedKeys({
      ...common,
      cacheEntries: within(options.cacheEntries ?? 1_000, 1_000_000, 'cacheEntries'),
      cacheTtlMs: within(options.cacheTtlMs ?? 300_000, MAX_AGE_CAP_MS, 'cacheTtlMs'),
    });
  }

  /**
   * The key that seals the next payload of a namespace. One message and `bytes` are taken from its limits before
   * it is handed out, so concurrent writers never pass them. Synchronous while the live key is good.
   *
   * @param onAsking - told where it is not, before anything is asked: what it throws keeps it from being asked.
   * @throws KeyholeError `key_not_configured`, `format_not_enabled` (a format that binds no namespace, under a key
   * that serves several), or what the key service says.
   */
  live(namespace: string, bytes: number, onAsking?: () => void): SealingKey | Promise<SealingKey> {
    return this.#sealing.live(namespace, bytes, onAsking);
  }

  /**
   * The key that opens a payload, once its commitment matches. Synchronous while it is cached.
   *
   * @param onAsking - told where it is not, before anything is asked: what it throws keeps it from being asked.
   * @throws KeyholeError `not_opened` (the commitment differs), `key_not_configured`, `format_not_enabled`, or what
   * the key service says.
   */
  opening(reference: DataKeyReference, onAsking?: () => void): OpeningKey | Promise<OpeningKey> {
    return this.#opened.opening(reference, onAsking);
  }

  /** The key of `opening`, if it is at hand; for records, so no event tells of it. */
  opened(reference: DataKeyReference): OpeningKey | undefined {
    return this.#opened.opened(reference);
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
    this.#sealing.rotate();
  }

  /** Drops live keys, opened keys and remembered refusals (SIGHUP). */
  clear(): void {
    this.#sealing.rotate();
    this.#opened.clear();
    this.#calls.clear();
  }

  #noteUse({ identity, name }: { identity: string; name: string }, namespace: string): void {
    const first = this.#keyring.noteUse(identity, namespace);
    if (first === undefined) return;
    this.#observer?.({ type: 'key_shared', key: name, namespaces: [first, namespace] });
  }
}

function within(value: number, cap: number, name: string): number {
  if (Number.isFinite(value) && value > 0 && value <= cap) return value;
  throw new TypeError(`${name} must be above 0 and at most ${cap}`);
}
