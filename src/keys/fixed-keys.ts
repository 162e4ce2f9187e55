// Keys that are written down themselves: those of the samples' static-key format, and Fernet's.
import { createHash, createSecretKey } from 'node:crypto';
import { DATA_KEY_BYTES, isDataKey } from './data-key.js';
import type { OpeningKey } from './data-keys.js';
import { isList, isRecord } from './options.js';

export interface FixedKey {
  /** 1 to 512 characters of printable ASCII, as the payloads record it; for Fernet, which records none, any name. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

const ID = /^[\x20-\x7e]{1,512}$/;
const MAX_KEYS = 100;

/** Keys that anybody can read in Temporal's samples, in Fernet's specification or in the documentation of gocloud.dev. */
const PUBLISHED: readonly Uint8Array[] = [
  Buffer.from('test-key-test-key-test-key-test!'),
  Buffer.from('cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=', 'base64url'),
  Buffer.from('smGbjm71Nxd1Ig5FS0wj9SlbzAIrnolCz9bQQ6uAhl4=', 'base64url'),
];

/** Fixed keys by their id. Nothing but the key itself protects what they sealed: whoever has the file has it all. */
export class FixedKeys {
  readonly #keys: ReadonlyMap<string, OpeningKey>;

  /** @throws TypeError for no key, too many, an id twice or of another form, a secret that is not 32 bytes long or is published. */
  constructor(keys: readonly FixedKey[], { insecurePublishedKeys = false } = {}) {
    if (!isList(keys) || keys.length < 1 || keys.length > MAX_KEYS)
      throw new TypeError(`there must be 1 to ${MAX_KEYS} keys`);
    for (const [index, key] of (keys as readonly unknown[]).entries()) {
      const { id, secret } = isRecord(key) ? key : {};
      if (typeof id !== 'string' || !ID.test(id))
        throw new TypeError(`keys[${index}].id: 1 to 512 characters of printable ASCII`);
      if (!isDataKey(secret)) throw new TypeError(`keys[${index}].secret: must be 32 bytes`);
      if (!insecurePublishedKeys && isPublishedKey(secret))
        throw new TypeError(`keys[${index}].secret: is published, anybody can open what it sealed`);
    }
    this.#keys = new Map(keys.map((key) => [key.id, held(key)]));
    if (this.#keys.size !== keys.length) throw new TypeError('a key id is there twice');
  }

  named(id: string): OpeningKey | undefined {
    return this.#keys.get(id);
  }

  all(): OpeningKey[] {
    return [...this.#keys.values()];
  }
}

/** Whether a secret stands in public documentation. */
export function isPublishedKey(secret: Uint8Array): boolean {
  return PUBLISHED.some((published) => Buffer.compare(published, secret) === 0);
}

function held({ id, secret }: FixedKey): OpeningKey {
  const identity = `fixed:${digest(secret)}`;
  const isKeyItself = [Buffer.from(id), Buffer.from(id, 'base64')].some((bytes) => bytes.equals(secret));
  return {
    sealingKey: createSecretKey(secret),
    commitment: undefined,
    identity,
    name: isKeyItself ? identity : id,
  };
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/**
 * Reads the parsed content of a file of fixed keys: `keys: [{ id, secret }]`, secrets in base64 of either alphabet (a
 * Fernet key is one as it is).
 *
 * @throws TypeError one sentence that names the place, never the secret.
 */
export function parseFixedKeys(content: unknown): FixedKey[] {
  const list = isRecord(content) ? content['keys'] : undefined;
  if (!isRecord(content) || Object.keys(content).length !== 1 || !Array.isArray(list)) {
    throw new TypeError('a file of fixed keys has one entry, "keys": a list of { id, secret }');
  }
  return list.map((entry: unknown, index) => {
    if (!isRecord(entry) || Object.keys(entry).sort().join() !== 'id,secret') {
      throw new TypeError(`keys[${index}]: must have exactly "id" and "secret"`);
    }
    const { id, secret } = entry;
    if (typeof id !== 'string') throw new TypeError(`keys[${index}].id: must be text`);
    const bytes = typeof secret === 'string' ? Buffer.from(secret, 'base64') : Buffer.alloc(0);
    if (
      bytes.length !== DATA_KEY_BYTES ||
      !['base64', 'base64url'].some((form) => isForm(bytes, form, secret))
    ) {
      throw new TypeError(`keys[${index}].secret: must be 32 bytes in base64`);
    }
    return { id, secret: bytes };
  });
}

function isForm(bytes: Buffer, form: string, text: unknown): boolean {
  const canonical = bytes.toString(form as BufferEncoding);
  return text === canonical || text === `${canonical}=`;
}
