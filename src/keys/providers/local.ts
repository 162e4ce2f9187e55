// Wrapping keys from a local key file: the first wraps, all unwrap.
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { KeyholeError } from '../../errors.js';
import { DATA_KEY_BYTES, isDataKey } from '../data-key.js';
import { isList, isRecord } from '../options.js';
import type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from '../wrapping-key.js';

export interface LocalKey {
  /** 1 to 64 characters of `[A-Za-z0-9._-]`; recorded with every payload. */
  readonly id: string;
  /** 32 random bytes. */
  readonly secret: Uint8Array;
}

const ID = /^[A-Za-z0-9._-]{1,64}$/;
const ID_WORDS = 'a local key id is 1 to 64 characters of A-Z a-z 0-9 . _ -';
const LABEL = Buffer.from('temporal-keyhole local/v1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const WRAPPED_BYTES = NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES;

/**
 * Wraps a data key as nonce (12) ‖ AES-256-GCM ciphertext (32) ‖ tag (16). Associated data: the label ‖ length of the
 * id (two bytes, big-endian) ‖ id ‖ 1 and the namespace with its length before it, or 0 where none is bound.
 */
export class LocalWrappingKey implements WrappingKey {
  readonly provider = 'local';
  readonly name: string;
  readonly #secrets: ReadonlyMap<string, KeyObject>;

  /** @throws TypeError for no key, an id twice or of another form, a secret that is not 32 bytes long. */
  constructor(keys: readonly LocalKey[]) {
    if (!isList(keys))
      throw new TypeError('LocalWrappingKey: takes a list of { id, secret }, as parseLocalKeys answers it');
    const [first] = keys;
    if (first === undefined) throw new TypeError('a local wrapping key needs at least one key');
    keys.forEach(assertLocalKey);
    this.name = first.id;
    this.#secrets = new Map(keys.map(({ id, secret }) => [id, createSecretKey(secret)]));
    if (this.#secrets.size !== keys.length) throw new TypeError('a local key id is there twice');
  }

  holds(keyId: string): 'yes' | 'no' {
    return this.#secrets.has(keyId) ? 'yes' : 'no';
  }

  generateDataKey({ namespace }: KeyContext): Promise<GeneratedDataKey> {
    const plaintext = randomBytes(DATA_KEY_BYTES);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#secretOf(this.name), nonce);
    cipher.setAAD(associatedData(this.name, namespace));
    const wrapped = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    return Promise.resolve({ keyId: this.name, plaintext, wrapped });
  }

  unwrap(wrapped: Uint8Array, keyId: string | null, { namespace }: KeyContext): Promise<UnwrappedDataKey> {
    const ids = keyId === null ? [...this.#secrets.keys()] : [keyId];
    for (const id of ids) {
      const plaintext = this.#open(id, wrapped, namespace);
      if (plaintext !== undefined) return Promise.resolve({ keyId: id, plaintext });
    }
    const message = `local key ${keyId ?? this.name} does not open the data key: wrapped for another namespace or key, or changed`;
    return Promise.reject(new KeyholeError('key_wrong_context', message));
  }

  #open(id: string, wrapped: Uint8Array, namespace: string | null): Uint8Array | undefined {
    if (wrapped.length !== WRAPPED_BYTES) return undefined;
    const nonce = wrapped.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#secretOf(id), nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(associatedData(id, namespace));
    decipher.setAuthTag(wrapped.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    } catch {
      return undefined; // the tag does not fit
    }
  }

  #secretOf(id: string): KeyObject {
    const secret = this.#secrets.get(id);
    if (secret === undefined)
      throw new KeyholeError('key_not_configured', `local key ${id} is not in the key file`);
    return secret;
  }
}

function assertLocalKey(key: unknown): void {
  const { id, secret } = isRecord(key) ? key : {};
  if (!isId(id)) throw new TypeError(ID_WORDS);
  if (!isDataKey(secret)) throw new TypeError(`the secret of local key ${id} is not 32 bytes long`);
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value);
}

function associatedData(id: string, namespace: string | null): Buffer {
  const bound = namespace === null ? [Buffer.of(0)] : [Buffer.of(1), ...lengthPrefixed(namespace)];
  return Buffer.concat([LABEL, ...lengthPrefixed(id), ...bound]);
}

function lengthPrefixed(text: string): [Buffer, Buffer] {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return [length, bytes];
}

/**
 * Reads the parsed content of a key file: `keys: [{ id, secret }]`, secrets in standard base64.
 *
 * @throws TypeError one sentence that names the place, never the secret.
 */
export function parseLocalKeys(content: unknown): LocalKey[] {
  const list = isRecord(content) ? content['keys'] : undefined;
  if (!isRecord(content) || Object.keys(content).length !== 1 || !Array.isArray(list)) {
    throw new TypeError('a key file has one entry, "keys": a list of { id, secret }');
  }
  return list.map((entry: unknown, index) => {
    if (!isRecord(entry) || Object.keys(entry).sort().join() !== 'id,secret') {
      throw new TypeError(`keys[${index}]: must have exactly "id" and "secret"`);
    }
    const { id, secret } = entry;
    if (!isId(id)) throw new TypeError(`keys[${index}].id: 1 to 64 characters of A-Z a-z 0-9 . _ -`);
    const bytes = Buffer.from(typeof secret === 'string' ? secret : '', 'base64');
    if (bytes.length !== DATA_KEY_BYTES || bytes.toString('base64') !== secret) {
      throw new TypeError(`keys[${index}].secret: must be 32 bytes in standard base64`);
    }
    return { id, secret: bytes };
  });
}

/** The text of a fresh key file with one random key. */
export function newLocalKeyFile(id: string): string {
  if (!isId(id)) throw new TypeError(ID_WORDS);
  return `keys:\n  - id: "${id}"\n    secret: "${randomBytes(DATA_KEY_BYTES).toString('base64')}"\n`;
}
