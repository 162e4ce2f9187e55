// Seals one payload under its namespace's live data key, and opens one layer of a sealed one.
import { createHash } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { isKeyholeError, KeyholeError } from '../errors.js';
import type { DataKeys, OpeningKey, SealingKey } from '../keys/data-keys.js';
import type { Keyring } from '../keys/keyring.js';
import type { Observer } from '../observer.js';
import { KEYHOLE_V1, KEYHOLE_V1_AAD, writeEnvelope } from './envelope.js';
import { writeEncryptionJwt } from './formats/encryption-jwt.js';
import { readMark, type SealedMark } from './marks.js';
import { readPayload, writePayload } from './payload-proto.js';
import { assertSealedLength, open, seal } from './seal.js';

const EMPTY = new Uint8Array(0);

export interface PayloadCipherOptions {
  readonly keyring: Keyring;
  readonly dataKeys: DataKeys;
  readonly observer?: Observer;
}

/** What codec and codec server share. Both directions answer synchronously while the data key is at hand. */
export class PayloadCipher {
  readonly #keyring: Keyring;
  readonly #dataKeys: DataKeys;
  readonly #observer: Observer | undefined;

  constructor({ keyring, dataKeys, observer }: PayloadCipherOptions) {
    this.#keyring = keyring;
    this.#dataKeys = dataKeys;
    this.#observer = observer;
  }

  /**
   * Seals a payload for a namespace, in the format that the keyring says.
   *
   * @throws KeyholeError what the key service says, `key_not_configured`, `seal_failed`; never is the payload
   * itself answered.
   */
  seal(payload: Payload, namespace: string): Payload | Promise<Payload> {
    return this.#reported('seal', namespace, () => {
      const plaintext = writePayload(payload);
      const key = this.#dataKeys.live(namespace, plaintext.length);
      if (key instanceof Promise) return key.then((made) => this.#sealUnder(made, plaintext, namespace));
      return this.#sealUnder(key, plaintext, namespace);
    });
  }

  /**
   * Opens one layer with the keys of `namespace`, which a bound payload must name itself. What comes out is
   * answered as it is, even if it looks sealed.
   *
   * @throws KeyholeError `namespace_refused` (bound to another namespace), `format_not_enabled`, `not_opened`,
   * `payload_invalid`, `key_not_configured`, or what the key service says.
   */
  open(payload: Payload, mark: SealedMark, namespace: string): Payload | Promise<Payload> {
    return this.#reported('open', namespace, () => {
      this.#assertOpens(mark, namespace);
      assertSealedLength(payload.data ?? EMPTY); // before a key service is asked
      const key = this.#dataKeys.opening({
        namespace,
        bound: mark.namespace !== null,
        keyId: mark.keyId,
        wrapped: mark.wrappedKey,
        commitment: mark.commitment,
      });
      if (key instanceof Promise)
        return key.then((opened) => this.#openUnder(opened, payload, mark, namespace));
      return this.#openUnder(key, payload, mark, namespace);
    });
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

  /**
   * The configured name of the key that a sealed payload would open under; for an id that is not configured the
   * first 8 bytes of its SHA-256 in hex (some foreign ids are keys).
   */
  keyName({ keyId, namespace: bound }: SealedMark, namespace: string): string {
    const keys = this.#keyring.forNamespace(bound ?? namespace);
    if (keyId === null) return keys.wrap.name;
    const holder =
      keys.unwrap.find((key) => key.holds(keyId) === 'yes') ??
      keys.unwrap.find((key) => key.holds(keyId) === 'maybe');
    return holder?.name ?? `unknown:${createHash('sha256').update(keyId).digest('hex').slice(0, 16)}`;
  }

  /** What the configuration says of payloads without a mark. */
  passThrough(namespace: string): 'allow' | 'refuse' {
    return this.#keyring.forNamespace(namespace).passThrough;
  }

  #sealUnder(key: SealingKey, plaintext: Uint8Array, namespace: string): Payload {
    const bytes = plaintext.length;
    this.#observer?.({ type: 'sealed', namespace, format: key.format, bytes });
    if (key.commitment === undefined)
      return writeEncryptionJwt(key.wrapped, seal(key.sealingKey, plaintext, undefined));
    const { keyId, wrapped, commitment } = key;
    return writeEnvelope(
      { keyId, namespace, wrapped, commitment },
      seal(key.sealingKey, plaintext, KEYHOLE_V1_AAD),
    );
  }

  #openUnder(key: OpeningKey, payload: Payload, mark: SealedMark, namespace: string): Payload {
    const associatedData = mark.format === KEYHOLE_V1 ? KEYHOLE_V1_AAD : undefined;
    const plaintext = open(key.sealingKey, payload.data ?? EMPTY, associatedData);
    const opened = readPayload(plaintext);
    this.#observer?.({ type: 'opened', namespace, format: mark.format, bytes: plaintext.length });
    return opened;
  }

  #assertOpens(mark: SealedMark, namespace: string): void {
    if (mark.namespace !== null && mark.namespace !== namespace) {
      throw new KeyholeError(
        'namespace_refused',
        `the payload is bound to namespace ${mark.namespace}, not ${namespace}`,
      );
    }
    if (mark.format === KEYHOLE_V1 || this.#keyring.forNamespace(namespace).reads.has(mark.format)) return;
    throw new KeyholeError('format_not_enabled', `${mark.format} is not enabled in namespace ${namespace}`);
  }

  /** One event for every failure, whichever way it comes. */
  #reported(
    during: 'seal' | 'open',
    namespace: string,
    work: () => Payload | Promise<Payload>,
  ): Payload | Promise<Payload> {
    const fail = (error: unknown): never => {
      const code = isKeyholeError(error) ? error.code : during === 'seal' ? 'seal_failed' : 'not_opened';
      this.#observer?.({ type: 'failed', namespace, during, code });
      throw isKeyholeError(error)
        ? error
        : new KeyholeError(code, `a payload could not be ${during}ed`, { cause: error });
    };
    try {
      const result = work();
      return result instanceof Promise ? result.catch(fail) : result;
    } catch (error) {
      return fail(error);
    }
  }
}
