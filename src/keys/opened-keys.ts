// The data keys that were unwrapped: a bounded cache, and one call in flight for each.
import { ageMs, momentOf, type Clock, type Moment } from '../clock.js';
import { isKeyholeError, KeyholeError } from '../errors.js';
import type { Observer } from '../observer.js';
import { assertCommitment, type DerivedKey } from './data-key.js';
import { keepBounded } from './keep-bounded.js';
import { checkedUnwrapped, derivedAndZeroed } from './key-answers.js';
import type { KeyCalls } from './key-calls.js';
import type { Keyring, NoteUse } from './keyring.js';
import type { WrappingKey } from './wrapping-key.js';

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

/** An opened data key. */
export interface OpeningKey extends DerivedKey {
  /** What tells the wrapping key that unwrapped it from others (`WrappingKey.identityOf`). */
  readonly identity: string;
  /** Its configured name, for records. */
  readonly name: string;
}

/** What was found out about a reference. */
interface Known {
  readonly cacheKey: string;
  /** The key that its commitment was seen to name. */
  committedTo: OpeningKey | undefined;
}

export interface OpenedKeysOptions {
  readonly keyring: Keyring;
  readonly calls: KeyCalls;
  readonly cacheEntries: number;
  readonly cacheTtlMs: number;
  readonly observer: Observer | undefined;
  readonly clock: Clock;
  readonly noteUse: NoteUse;
}

export class OpenedKeys {
  readonly #options: OpenedKeysOptions;
  readonly #opened = new Map<string, { readonly key: OpeningKey; readonly opened: Moment }>();
  readonly #opening = new Map<string, Promise<OpeningKey>>();
  readonly #known = new WeakMap<DataKeyReference, Known>();
  #generation = 0;

  constructor(options: OpenedKeysOptions) {
    this.#options = options;
  }

  /** As `DataKeys.opening`. */
  opening(reference: DataKeyReference, onAsking?: () => void): OpeningKey | Promise<OpeningKey> {
    const known = this.#knownOf(reference);
    const cached = this.#cached(known.cacheKey);
    this.#options.observer?.({ type: 'key_cache', hit: cached !== undefined });
    if (cached !== undefined) return this.#checked(cached, reference, known);
    onAsking?.();
    return this.#openingOnce(known.cacheKey, reference).then((key) => this.#checked(key, reference, known));
  }

  /** The key of `opening`, if it is at hand. */
  opened(reference: DataKeyReference): OpeningKey | undefined {
    return this.#cached(this.#knownOf(reference).cacheKey);
  }

  /** Drops all; what is asked for now serves who waits for it, and nobody later. */
  clear(): void {
    this.#generation += 1;
    this.#opened.clear();
    this.#opening.clear();
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

  #cached(cacheKey: string): OpeningKey | undefined {
    const entry = this.#opened.get(cacheKey);
    if (entry === undefined) return undefined;
    if (ageMs(this.#options.clock, entry.opened) < this.#options.cacheTtlMs) return entry.key;
    this.#opened.delete(cacheKey);
    return undefined;
  }

  #checked(key: OpeningKey, reference: DataKeyReference, known: Known): OpeningKey {
    if (!reference.bound) this.#options.keyring.assertServesOnly(key.identity, reference.namespace);
    if (known.committedTo !== key) assertCommitment(key, reference.commitment, key.name);
    known.committedTo = key;
    return key;
  }

  #openingOnce(cacheKey: string, reference: DataKeyReference): Promise<OpeningKey> {
    const opening = this.#opening.get(cacheKey);
    if (opening !== undefined) return opening;
    const generation = this.#generation;
    const startedAt = momentOf(this.#options.clock);
    const opened = this.#unwrap(cacheKey, reference)
      .then((key) => {
        if (generation === this.#generation)
          keepBounded(this.#opened, cacheKey, { key, opened: startedAt }, this.#options.cacheEntries);
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
    const { keyring, calls, noteUse } = this.#options;
    const { namespace, bound, wrapped, by } = reference;
    const keyId = by === undefined ? reference.keyId : null;
    const candidates = by === undefined ? candidatesFor(keyring.forNamespace(namespace).unwrap, keyId) : [by];
    let refusal: KeyholeError | undefined;
    for (const key of candidates) {
      try {
        const refusalKey = `unwrap ${key.provider} ${key.name} ${cacheKey}`;
        const opened = await calls.run('unwrap', key, bound ? namespace : null, refusalKey, async (context) =>
          checkedUnwrapped(await key.unwrap(wrapped, keyId, context), key, context.signal),
        );
        const identity = key.identityOf?.(opened.keyId) ?? opened.keyId;
        noteUse({ identity, name: key.name }, namespace);
        const derived = derivedAndZeroed(opened.plaintext, bound, namespace, keyId ?? opened.keyId);
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
