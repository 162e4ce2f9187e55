// Temporal's PayloadCodec: what a worker or client sends is sealed, what it receives is opened.
import type { Payload, PayloadCodec } from '@temporalio/common';
import { KeyholeError } from '../errors.js';
import { DataKeys, MAX_AGE_CAP_MS } from '../keys/data-keys.js';
import type { ForeignRead } from '../keys/foreign-reads.js';
import { KeyCalls } from '../keys/key-calls.js';
import {
  Keyring,
  SEALING_OPTIONS,
  type Compress,
  type KeyringEntry,
  type WrappingKeyOf,
  type WriteFormat,
} from '../keys/keyring.js';
import {
  aFunction,
  assertOptions,
  milliseconds,
  NAMESPACE,
  NAMESPACES,
  optional,
  type Forms,
} from '../keys/options.js';
import { isWrappingKey, type WrappingKey } from '../keys/wrapping-key.js';
import type { Observer } from '../observer.js';
import { Growth } from './growth.js';
import type { Mark, SealedMark } from './marks.js';
import { PayloadCipher } from './payload-cipher.js';

/** Which keys seal and open, and in which formats. */
export interface EncryptionKeys {
  /** A wrapping key, what makes one for a namespace (`awsKms({…})`), or a `Keyring` with entries of its own. */
  readonly keys: WrappingKey | WrappingKeyOf | Keyring;
  /** What is written. Default is `keyhole/v1`. Not with a `Keyring`, which says it itself. */
  readonly write?: WriteFormat;
  /** Foreign formats that open. Default is none. Not with a `Keyring`. */
  readonly reads?: readonly ForeignRead[];
  /** Payloads that are larger, serialized, are compressed before they are sealed. Default is none. Not with a `Keyring`. */
  readonly compress?: Compress;
  /** What happens to payloads that were never sealed. Default is `allow`. Not with a `Keyring`. */
  readonly passThrough?: 'allow' | 'refuse';
}

export interface EncryptionCodecOptions extends EncryptionKeys {
  /** The namespace where the SDK does not say it (a client's data converter outside of a workflow). */
  readonly namespace?: string;
  /** Other namespaces whose payloads open here as well, exact names. Default is none. */
  readonly alsoOpens?: readonly string[];
  /** How long one data key seals payloads, in milliseconds. Default is 15 minutes, at most 24 hours. */
  readonly dataKeyMaxAgeMs?: number;
  /** How long an opened data key is kept, in milliseconds. Default is 5 minutes. */
  readonly openedKeyTtlMs?: number;
  /** Told of every payload and every key-service call. */
  readonly observer?: Observer;
}

const KEYS_OPTIONS: Forms<EncryptionKeys> = {
  keys: {
    words: 'a wrapping key, a function from a namespace to one, or a Keyring',
    fits: (value) => typeof value === 'function' || value instanceof Keyring || isWrappingKey(value),
  },
  ...SEALING_OPTIONS,
};

const OPTIONS: Forms<EncryptionCodecOptions> = {
  ...KEYS_OPTIONS,
  namespace: optional(NAMESPACE),
  alsoOpens: optional(NAMESPACES),
  dataKeyMaxAgeMs: optional(milliseconds(MAX_AGE_CAP_MS)),
  openedKeyTtlMs: optional(milliseconds(MAX_AGE_CAP_MS)),
  observer: optional(aFunction('a function that takes an event')),
};

/** What we read of the SDK's `SerializationContext`. */
interface NamespaceContext {
  readonly namespace?: string;
}

/**
 * Seals every payload of a worker or client, and opens those bound to its namespace.
 *
 * A payload that cannot be sealed is never sent: `encode` rejects. A payload that claims to be sealed and does not
 * open is an error too, never an empty value. Both reject with a plain `KeyholeError`, so the SDK retries the task.
 */
export class EncryptionCodec implements PayloadCodec {
  readonly #options: EncryptionCodecOptions;
  readonly #alsoOpens: ReadonlySet<string>;
  readonly #calls: KeyCalls;
  readonly #observer: Observer | undefined;
  #keyring: Keyring;
  #dataKeys: DataKeys;
  #cipher: PayloadCipher;

  /** @throws TypeError for options that cannot be right. */
  constructor(options: EncryptionCodecOptions) {
    assertOptions('EncryptionCodec', options, OPTIONS);
    const { alsoOpens = [], observer } = options;
    this.#options = options;
    this.#alsoOpens = new Set(alsoOpens);
    this.#observer = observer;
    this.#calls = new KeyCalls(observer === undefined ? {} : { observer });
    this.#keyring = keyringOf(options, options);
    [this.#dataKeys, this.#cipher] = this.#partsFor(this.#keyring);
  }

  /**
   * From the next payload on, other wrapping keys: what is under way ends with those before. A key that no longer
   * wraps must stay among those that unwrap while there are payloads under it.
   *
   * @throws TypeError for keys that cannot be right; then nothing has changed.
   */
  reload(keys: EncryptionKeys): void {
    assertOptions('EncryptionCodec.reload', keys, KEYS_OPTIONS);
    const keyring = keyringOf(keys, this.#options);
    keyring.succeeds(this.#keyring);
    this.#keyring = keyring;
    [this.#dataKeys, this.#cipher] = this.#partsFor(keyring);
    this.#calls.clear();
  }

  #partsFor(keyring: Keyring): [DataKeys, PayloadCipher] {
    const { observer, dataKeyMaxAgeMs, openedKeyTtlMs } = this.#options;
    const reporting = observer === undefined ? {} : { observer };
    const dataKeys = new DataKeys({
      keyring,
      calls: this.#calls,
      ...reporting,
      ...(dataKeyMaxAgeMs === undefined ? {} : { maxAgeMs: dataKeyMaxAgeMs }),
      ...(openedKeyTtlMs === undefined ? {} : { cacheTtlMs: openedKeyTtlMs }),
    });
    return [dataKeys, new PayloadCipher({ keyring, dataKeys, ...reporting })];
  }

  async encode(payloads: Payload[], context?: NamespaceContext): Promise<Payload[]> {
    if (payloads.length === 0) return [];
    const namespace = this.#namespaceOf(context);
    const cipher = this.#cipher;
    return Promise.all(payloads.map(async (payload) => seal(cipher, payload, namespace)));
  }

  async decode(payloads: Payload[], context?: NamespaceContext): Promise<Payload[]> {
    if (payloads.length === 0) return [];
    const namespace = this.#namespaceOf(context);
    const cipher = this.#cipher;
    const growth = new Growth();
    return Promise.all(
      payloads.map(async (payload) => {
        const opened = this.#open(cipher, payload, namespace);
        return opened instanceof Promise ? growth.taken(payload, await opened) : opened;
      }),
    );
  }

  /** From the next payload on, fresh data keys seal (call it after a machine was cloned or restored). */
  rotate(): void {
    this.#dataKeys.rotate();
  }

  #open(cipher: PayloadCipher, payload: Payload, namespace: string): Payload | Promise<Payload> {
    const unpacked = cipher.unpacked(payload, namespace);
    if (unpacked instanceof Promise)
      return unpacked.then((inner) => this.#openLayer(cipher, inner, namespace));
    return this.#openLayer(cipher, unpacked, namespace);
  }

  #openLayer(cipher: PayloadCipher, payload: Payload, namespace: string): Payload | Promise<Payload> {
    const mark = this.#judge(cipher, payload, namespace);
    if (mark.kind === 'sealed') return cipher.open(payload, mark, this.#opensUnder(mark, namespace));
    this.#observer?.({ type: 'passed', namespace });
    return payload;
  }

  /** The mark of a payload that may be opened or passed. */
  #judge(cipher: PayloadCipher, payload: Payload, namespace: string): Mark {
    const mark = cipher.markOf(payload, namespace);
    if (mark.kind === 'none') cipher.assertPasses(namespace);
    return mark;
  }

  /** Our own namespace, or the payload's where `alsoOpens` names it. */
  #opensUnder({ namespace: boundTo }: SealedMark, namespace: string): string {
    if (boundTo === null || boundTo === namespace || !this.#alsoOpens.has(boundTo)) return namespace;
    this.#observer?.({ type: 'opened_foreign', namespace, boundTo });
    return boundTo;
  }

  #namespaceOf(context: NamespaceContext | undefined): string {
    const namespace = context?.namespace ?? this.#options.namespace;
    if (namespace !== undefined) return namespace;
    throw new KeyholeError(
      'namespace_missing',
      'neither the SDK nor the option "namespace" says which namespace this is',
    );
  }
}

function seal(cipher: PayloadCipher, payload: Payload, namespace: string): Payload | Promise<Payload> {
  return cipher.isOwn(payload, namespace) ? payload : cipher.seal(payload, namespace);
}

function keyringOf(
  { keys, write, reads, compress, passThrough }: EncryptionKeys,
  { namespace, alsoOpens = [] }: EncryptionCodecOptions,
): Keyring {
  if (keys instanceof Keyring) {
    if ([write, reads, compress, passThrough].every((option) => option === undefined)) return keys;
    throw new TypeError(
      '"write", "reads", "compress" and "passThrough" belong into the entries of the keyring',
    );
  }
  const wrap = typeof keys === 'function' ? keys : () => keys;
  const sharesKey = typeof keys !== 'function';
  const own: KeyringEntry = {
    namespaces: [namespace ?? '*'],
    wrap,
    sharesKey,
    ...(write === undefined ? {} : { write }),
    ...(reads === undefined ? {} : { reads }),
    ...(compress === undefined ? {} : { compress }),
    ...(passThrough === undefined ? {} : { passThrough }),
  };
  const others = [...new Set(alsoOpens)].filter((name) => name !== namespace);
  if (namespace === undefined || others.length === 0) return new Keyring([own]);
  return new Keyring([own, { namespaces: others, wrap, sharesKey }]);
}
