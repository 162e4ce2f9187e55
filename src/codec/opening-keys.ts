// Finds the key that opens a sealed payload: always one that is configured, never one that only the payload names.
import { createHash } from 'node:crypto';
import { KeyholeError } from '../errors.js';
import type { DataKeyReference, DataKeys, OpeningKey } from '../keys/data-keys.js';
import type { Keyring } from '../keys/keyring.js';
import type { WrappingKey } from '../keys/wrapping-key.js';
import { KEYHOLE_V1 } from './envelope.js';
import { isSignedBy } from './formats/fernet.js';
import type { SealedMark } from './metadata.js';

export interface OpeningKeysOptions {
  readonly keyring: Keyring;
  readonly dataKeys: DataKeys;
}

export class OpeningKeys {
  readonly #keyring: Keyring;
  readonly #dataKeys: DataKeys;
  /** Payloads under one data key share their mark, hence this too. */
  readonly #references = new WeakMap<SealedMark, DataKeyReference>();

  constructor({ keyring, dataKeys }: OpeningKeysOptions) {
    this.#keyring = keyring;
    this.#dataKeys = dataKeys;
  }

  /**
   * The key of a payload with this mark and data: its data key, unwrapped, or a configured key itself. Synchronous
   * while it is at hand.
   *
   * @param onAsking - as of `DataKeys.opening`.
   * @throws KeyholeError `key_not_configured`, `not_opened` (another commitment), `format_not_enabled` (no namespace
   * is bound, and the key serves several), `payload_invalid`, or what the key service says.
   */
  keyOf(
    mark: SealedMark,
    data: Uint8Array,
    namespace: string,
    onAsking?: () => void,
  ): OpeningKey | Promise<OpeningKey> {
    const { reads } = this.#keyring.forNamespace(namespace);
    switch (mark.format) {
      case KEYHOLE_V1:
      case 'encryption-jwt':
        return this.#dataKeys.opening(this.#referenceOf(mark, namespace), onAsking);
      case 'temporal-proxy': {
        const by = reads.proxyKey(mark.keyId ?? '') ?? notConfigured(mark, namespace);
        return this.#dataKeys.opening({ ...this.#referenceOf(mark, namespace), by }, onAsking);
      }
      case 'static-key':
      case 'fernet':
        return this.#dataKeys.onlyIn(
          namespace,
          this.#fixedKey(mark, data, namespace) ?? notConfigured(mark, namespace),
        );
    }
  }

  /**
   * The configured name of that key, for records; for an id that is not configured the first 8 bytes of its SHA-256
   * in hex (some foreign ids are keys).
   */
  nameOf(mark: SealedMark, data: Uint8Array, namespace: string): string {
    return this.#configured(mark, data, mark.namespace ?? namespace)?.name ?? unknownName(mark);
  }

  #configured(mark: SealedMark, data: Uint8Array, namespace: string): { readonly name: string } | undefined {
    const { wrap, unwrap, reads } = this.#keyring.forNamespace(namespace);
    switch (mark.format) {
      case KEYHOLE_V1:
        return (
          this.#dataKeys.opened(this.#referenceOf(mark, namespace)) ?? holderOf(mark.keyId ?? '', unwrap)
        );
      case 'encryption-jwt':
        return this.#dataKeys.opened(this.#referenceOf(mark, namespace)) ?? wrap;
      case 'temporal-proxy':
        return reads.proxyKey(mark.keyId ?? '');
      case 'static-key':
      case 'fernet':
        return this.#fixedKey(mark, data, namespace);
    }
  }

  #referenceOf(mark: SealedMark, namespace: string): DataKeyReference {
    const known = this.#references.get(mark);
    if (known?.namespace === namespace) return known;
    const { keyId, wrappedKey, commitment } = mark;
    const bound = mark.namespace !== null;
    const reference = { namespace, bound, keyId, wrapped: wrappedKey, commitment };
    this.#references.set(mark, reference);
    return reference;
  }

  /** By its id; a Fernet token has none and is matched by its signature. */
  #fixedKey({ format, keyId }: SealedMark, data: Uint8Array, namespace: string): OpeningKey | undefined {
    const { reads } = this.#keyring.forNamespace(namespace);
    if (format === 'static-key') return reads.fixedKeys(format)?.named(keyId ?? '');
    return reads
      .fixedKeys('fernet')
      ?.all()
      .find(({ sealingKey }) => isSignedBy(sealingKey, data));
  }
}

function holderOf(keyId: string, keys: readonly WrappingKey[]): WrappingKey | undefined {
  return keys.find((key) => key.holds(keyId) === 'yes') ?? keys.find((key) => key.holds(keyId) === 'maybe');
}

function notConfigured(mark: SealedMark, namespace: string): never {
  throw new KeyholeError(
    'key_not_configured',
    `no ${mark.format} key is configured for namespace ${namespace} under ${unknownName(mark)}`,
  );
}

function unknownName({ keyId }: SealedMark): string {
  return `unknown:${createHash('sha256')
    .update(keyId ?? '')
    .digest('hex')
    .slice(0, 16)}`;
}
