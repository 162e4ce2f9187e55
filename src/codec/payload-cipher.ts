// Seals one payload under its namespace's live data key, and opens one layer of a sealed one.
import type { Payload } from '@temporalio/common';
import { isKeyholeError, KeyholeError } from '../errors.js';
import type { DataKeys, OpeningKey, SealingKey } from '../keys/data-keys.js';
import type { Keyring } from '../keys/keyring.js';
import type { KeyholeEvent, Observer } from '../observer.js';
import { needsWrapping, wrapped } from './compressing.js';
import { KEYHOLE_V1, KEYHOLE_V1_AAD, writeEnvelope } from './envelope.js';
import {
  BINARY_ZLIB,
  COMPRESSION,
  compressionOf,
  decompress,
  type CompressionEncoding,
} from './formats/compression.js';
import { writeEncryptionJwt } from './formats/encryption-jwt.js';
import { readerOf, readMark, type Mark, type SealedMark } from './marks.js';
import { Nonces } from './nonces.js';
import { OpeningKeys } from './opening-keys.js';
import { readPayload, writeParts } from './payload-proto.js';
import { assertSealedLength, bytesIn, seal } from './seal.js';

const EMPTY = new Uint8Array(0);

/** What was tried, as far as it is told if it fails. */
type Attempt = Omit<Extract<KeyholeEvent, { type: 'failed' }>, 'type' | 'code'>;

export interface PayloadCipherOptions {
  readonly keyring: Keyring;
  readonly dataKeys: DataKeys;
  readonly observer?: Observer;
  /** Milliseconds since the epoch, for formats that open until a day. Default is `Date.now`. */
  readonly now?: () => number;
}

/** What codec and codec server share. Both directions answer synchronously while the data key is at hand. */
export class PayloadCipher {
  readonly #keyring: Keyring;
  readonly #dataKeys: DataKeys;
  readonly #openingKeys: OpeningKeys;
  readonly #observer: Observer | undefined;
  readonly #now: () => number;
  readonly #nonces = new Nonces();

  constructor({ keyring, dataKeys, observer, now = Date.now }: PayloadCipherOptions) {
    this.#keyring = keyring;
    this.#dataKeys = dataKeys;
    this.#openingKeys = new OpeningKeys({ keyring, dataKeys });
    this.#observer = observer;
    this.#now = now;
  }

  /** Whether any key is configured for a namespace; where none is, nothing opens. */
  serves(namespace: string): boolean {
    try {
      this.#keyring.forNamespace(namespace);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Seals a payload for a namespace, in the format that the keyring says.
   *
   * @param onAsking - as of `DataKeys.live`.
   * @throws KeyholeError what the key service says, `key_not_configured`, `seal_failed`; never is the payload
   * itself answered.
   */
  seal(payload: Payload, namespace: string, onAsking?: () => void): Payload | Promise<Payload> {
    return this.#reported({ during: 'seal', namespace, format: undefined }, () => {
      const { write, compress } = this.#keyring.forNamespace(namespace);
      const plaintext = writeParts(payload);
      if (
        write !== KEYHOLE_V1 ||
        !needsWrapping(payload, bytesIn(plaintext), compress?.aboveBytes ?? Infinity)
      )
        return this.#sealed(plaintext, namespace, onAsking);
      return wrapped(payload, plaintext).then((parts) => this.#sealed(parts, namespace, onAsking));
    });
  }

  #sealed(
    plaintext: readonly Uint8Array[],
    namespace: string,
    onAsking?: () => void,
  ): Payload | Promise<Payload> {
    const key = this.#dataKeys.live(namespace, bytesIn(plaintext), onAsking);
    if (key instanceof Promise) return key.then((made) => this.#sealUnder(made, plaintext, namespace));
    return this.#sealUnder(key, plaintext, namespace);
  }

  #sealUnder(key: SealingKey, plaintext: readonly Uint8Array[], namespace: string): Payload {
    const sealed = sealedUnder(key, plaintext, namespace, this.#nonces);
    this.#observer?.({ type: 'sealed', namespace, format: key.format, bytes: bytesIn(plaintext) });
    return sealed;
  }

  /**
   * What is inside of an outer compression, where `compression` is read; else the payload as it came. Its mark is
   * then judged: who compresses hides nothing by it.
   *
   * @throws KeyholeError `payload_invalid` (not compressed as it says, or a bomb), `format_not_enabled` (no longer).
   */
  unpacked(payload: Payload, namespace: string): Payload | Promise<Payload> {
    const encoding = compressionOf(payload);
    if (encoding === undefined || !this.#keyring.forNamespace(namespace).reads.has(COMPRESSION))
      return payload;
    const reported = { during: 'open', namespace, format: undefined } as const;
    return this.#reported(reported, () => this.#decompressed(payload, encoding, namespace));
  }

  /**
   * Opens one layer with the keys of `namespace`, which a bound payload must name itself: the mark leads to a key,
   * the key opens, and at most one compression inside is taken off. What comes out is answered as it is, even if it
   * looks sealed.
   *
   * @param onAsking - as of `DataKeys.opening`.
   * @throws KeyholeError `namespace_refused` (bound to another namespace), `format_not_enabled`, `not_opened`,
   * `payload_invalid`, `key_not_configured`, or what the key service says.
   */
  open(
    payload: Payload,
    mark: SealedMark,
    namespace: string,
    onAsking?: () => void,
  ): Payload | Promise<Payload> {
    return this.#reported({ during: 'open', namespace, format: mark.format }, () => {
      const data = payload.data ?? EMPTY;
      this.#assertOpens(mark, namespace);
      assertSealedLength(data); // before a key service is asked
      const key = this.#openingKeys.keyOf(mark, data, namespace, onAsking);
      if (key instanceof Promise) return key.then((opened) => this.#openUnder(opened, data, mark, namespace));
      return this.#openUnder(key, data, mark, namespace);
    });
  }

  #assertOpens(mark: SealedMark, namespace: string): void {
    if (mark.namespace !== null && mark.namespace !== namespace) {
      throw new KeyholeError(
        'namespace_refused',
        `the payload is bound to namespace ${mark.namespace}, not ${namespace}`,
      );
    }
    if (mark.format === KEYHOLE_V1) return;
    const { write, reads } = this.#keyring.forNamespace(namespace);
    if (mark.format !== write) reads.assertOpens(mark.format, namespace, this.#now());
  }

  #openUnder(
    key: OpeningKey,
    data: Uint8Array,
    mark: SealedMark,
    namespace: string,
  ): Payload | Promise<Payload> {
    const plaintext = readerOf(mark.format).open(key.sealingKey, data);
    const opened = this.#innermost(readPayload(plaintext), mark, namespace);
    const bytes = plaintext.length;
    if (opened instanceof Promise) return opened.then((inner) => this.#opened(inner, mark, namespace, bytes));
    return this.#opened(opened, mark, namespace, bytes);
  }

  #opened(payload: Payload, { format }: SealedMark, namespace: string, bytes: number): Payload {
    this.#observer?.({ type: 'opened', namespace, format, bytes });
    return payload;
  }

  /** Our own envelope may always hold a compressed payload in the SDKs' shape; others where `compression` is read. */
  #innermost(payload: Payload, mark: SealedMark, namespace: string): Payload | Promise<Payload> {
    const encoding = compressionOf(payload);
    if (encoding === undefined) return payload;
    if (mark.format === KEYHOLE_V1) return encoding === BINARY_ZLIB ? decompress(payload, encoding) : payload;
    if (!this.#keyring.forNamespace(namespace).reads.has(COMPRESSION)) return payload;
    return this.#decompressed(payload, encoding, namespace);
  }

  #decompressed(payload: Payload, encoding: CompressionEncoding, namespace: string): Promise<Payload> {
    this.#keyring.forNamespace(namespace).reads.assertOpens(COMPRESSION, namespace, this.#now());
    return decompress(payload, encoding);
  }

  /** Whether a payload is fully ours: bound to this namespace, under a configured key. `encode` leaves it alone. */
  isOwn(payload: Payload, namespace: string): boolean {
    try {
      const mark = readMark(payload);
      if (mark.kind !== 'sealed' || mark.namespace !== namespace) return false;
      assertSealedLength(payload.data ?? EMPTY);
      const { keyId } = mark;
      return (
        keyId !== null &&
        this.#keyring.forNamespace(namespace).unwrap.some((key) => key.holds(keyId) !== 'no')
      );
    } catch {
      return false;
    }
  }

  /** The configured name of the key that a sealed payload would open under; see `OpeningKeys.nameOf`. */
  keyName(mark: SealedMark, { data }: Payload, namespace: string): string {
    return this.#openingKeys.nameOf(mark, data ?? EMPTY, namespace);
  }

  /** What a payload says of itself. @throws KeyholeError `payload_invalid`, `format_not_enabled`, as a failure to open it. */
  markOf(payload: Payload, namespace: string): Mark {
    try {
      return readMark(payload);
    } catch (error) {
      return this.#fail({ during: 'open', namespace, format: undefined }, error);
    }
  }

  /**
   * That a payload without a mark may be returned as it came.
   *
   * @throws KeyholeError `plaintext_refused`, as a failure to open it.
   */
  assertPasses(namespace: string): void {
    try {
      if (this.#keyring.forNamespace(namespace).passThrough === 'allow') return;
      throw new KeyholeError('plaintext_refused', `a payload of namespace ${namespace} is not sealed`);
    } catch (error) {
      this.#fail({ during: 'open', namespace, format: undefined }, error);
    }
  }

  #reported(attempt: Attempt, work: () => Payload | Promise<Payload>): Payload | Promise<Payload> {
    const fail = (error: unknown): never => this.#fail(attempt, error);
    try {
      const result = work();
      return result instanceof Promise ? result.catch(fail) : result;
    } catch (error) {
      return fail(error);
    }
  }

  /** One event for every failure, whichever way it comes. */
  #fail(attempt: Attempt, error: unknown): never {
    const { during } = attempt;
    const code = isKeyholeError(error) ? error.code : during === 'seal' ? 'seal_failed' : 'not_opened';
    this.#observer?.({ type: 'failed', ...attempt, code });
    throw isKeyholeError(error)
      ? error
      : new KeyholeError(code, `a payload could not be ${during}ed`, { cause: error });
  }
}

function sealedUnder(
  key: SealingKey,
  plaintext: readonly Uint8Array[],
  namespace: string,
  nonces: Nonces,
): Payload {
  const { sealingKey, keyId, wrapped, commitment } = key;
  if (commitment === undefined)
    return writeEncryptionJwt(wrapped, seal(sealingKey, plaintext, undefined, nonces));
  const data = seal(sealingKey, plaintext, KEYHOLE_V1_AAD, nonces);
  return writeEnvelope({ keyId, namespace, wrapped, commitment }, data);
}
