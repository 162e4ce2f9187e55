// Which wrapping key writes for a namespace, and which may still open what was written.
import { KeyholeError } from '../errors.js';
import { matchesPattern } from '../pattern.js';
import { ForeignReads, type ForeignRead } from './foreign-reads.js';
import { assertPatterns, specificity } from './namespace-patterns.js';
import { isNamespace } from './namespace.js';
import {
  aFunction,
  aList,
  assertOptions,
  FLAG,
  isList,
  isRecord,
  oneOf,
  optional,
  type Form,
  type Forms,
} from './options.js';
import { isWrappingKey, type WrappingKey } from './wrapping-key.js';

export type WriteFormat = 'keyhole/v1' | 'encryption-jwt';

/** Makes the wrapping key of a namespace; called once per namespace. */
export type WrappingKeyOf = (namespace: string) => WrappingKey;

export interface KeyringEntry {
  /** Namespaces, or patterns with one `*`. */
  readonly namespaces: readonly string[];
  readonly wrap: WrappingKeyOf;
  /** Further wrapping keys that may still open. Default is none. */
  readonly unwrap?: readonly WrappingKeyOf[];
  /** Default is `keyhole/v1`. */
  readonly write?: WriteFormat;
  /** Foreign formats that are opened. Default is none; the format that is written always opens. */
  readonly reads?: readonly ForeignRead[];
  /** Payloads that are larger, serialized, are compressed before they are sealed. Default is none; not for `encryption-jwt`. */
  readonly compress?: Compress;
  /** What happens to payloads without a mark of ours. Default is `allow`. */
  readonly passThrough?: 'allow' | 'refuse';
  /** Whether the key's name does not depend on the namespace, so that several namespaces may share it. */
  readonly sharesKey: boolean;
  /**
   * Whether formats that bind no namespace open under a key that serves several: whoever may send a payload to one
   * of them can then have it opened that belongs to another. Default is false.
   */
  readonly insecureSharedKeyReads?: boolean;
}

/** The size of what is sealed then tells how well it compresses, hence something of what it is (`docs/formats.md`). */
export interface Compress {
  readonly aboveBytes: number;
}

/** What seals and opens under a wrapping key, whether an entry of a keyring says it or a codec without one. */
export const SEALING_OPTIONS: Forms<Pick<KeyringEntry, 'write' | 'reads' | 'compress' | 'passThrough'>> = {
  write: optional(oneOf('keyhole/v1', 'encryption-jwt')),
  reads: optional(aList('a list of foreign formats')),
  compress: optional({ words: 'an object { aboveBytes }', fits: isRecord }),
  passThrough: optional(oneOf('allow', 'refuse')),
};

const TO_A_KEY = 'from a namespace to its wrapping key';

const ENTRY_OPTIONS: Forms<KeyringEntry> = {
  namespaces: aList('a list of namespaces, or patterns with one *', isText),
  wrap: aFunction(`a function ${TO_A_KEY}`),
  unwrap: optional(aList(`a list of functions ${TO_A_KEY}`, (make) => typeof make === 'function')),
  ...SEALING_OPTIONS,
  sharesKey: FLAG,
  insecureSharedKeyReads: optional(FLAG),
};

const ABOVE_BYTES: Form = {
  words: 'a whole number above 0',
  fits: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
};

/** An entry, resolved for one namespace. */
export interface NamespaceKeys {
  readonly namespace: string;
  readonly write: WriteFormat;
  readonly wrap: WrappingKey;
  /** All that may open, `wrap` first. */
  readonly unwrap: readonly WrappingKey[];
  readonly reads: ForeignReads;
  readonly compress: Compress | undefined;
  readonly passThrough: 'allow' | 'refuse';
  readonly insecureSharedKeyReads: boolean;
}

/** An entry with its reads, which all its namespaces share. */
interface Entry extends Omit<KeyringEntry, 'reads'> {
  readonly reads: ForeignReads;
}

const SEVERAL = Symbol('several namespaces');

/** Namespaces kept resolved; beyond it the oldest is forgotten. */
const MAX_RESOLVED = 10_000;

/** Told which namespace a wrapping key is used in: its identity (`WrappingKey.identityOf`), and its configured name. */
export type NoteUse = (key: { readonly identity: string; readonly name: string }, namespace: string) => void;

/**
 * The wrapping keys of all namespaces. The most specific entry wins: a name beats a pattern, then more literal
 * characters; a tie is a `TypeError` at construction, and so is a format without binding under a key that several
 * namespaces share (`docs/format.md`, "One key, one namespace").
 */
export class Keyring {
  readonly #patterns: readonly { readonly pattern: string; readonly entry: Entry }[];
  readonly #resolved = new Map<string, NamespaceKeys>();
  #servedBy = new Map<string, string | typeof SEVERAL>();

  /** @throws TypeError for entries that cannot be right. */
  constructor(given: readonly KeyringEntry[]) {
    assertEntries(given);
    const entries = given.map((entry) => ({ ...entry, reads: new ForeignReads(entry.reads ?? []) }));
    this.#patterns = entries
      .flatMap((entry) => entry.namespaces.map((pattern) => ({ pattern, entry })))
      .sort((a, b) => specificity(b.pattern) - specificity(a.pattern));
    assertPatterns(this.#patterns.map(({ pattern }) => pattern));
    assertNotShared(entries);
    for (const entry of entries) assertCompresses(entry);
  }

  /**
   * @throws KeyholeError `namespace_invalid`, or `key_not_configured` where no entry matches.
   */
  forNamespace(namespace: string): NamespaceKeys {
    const known = this.#resolved.get(namespace);
    if (known !== undefined) return known;
    if (!isNamespace(namespace))
      throw new KeyholeError('namespace_invalid', 'what was given is not a namespace');
    const entry = this.#patterns.find(({ pattern }) => matchesPattern(pattern, namespace))?.entry;
    if (entry === undefined) {
      throw new KeyholeError(
        'key_not_configured',
        `no wrapping key is configured for namespace ${namespace}`,
      );
    }
    const keys = resolve(entry, namespace);
    const [oldest] = this.#resolved.keys();
    if (this.#resolved.size >= MAX_RESOLVED && oldest !== undefined) this.#resolved.delete(oldest);
    this.#resolved.set(namespace, keys);
    return keys;
  }

  /**
   * Records which namespace a wrapping key was used in, by what its service resolved it to. A key that finds no
   * room in the record counts as shared.
   *
   * @returns the namespace that it served alone until now, where this is the second one.
   */
  noteUse(identity: string, namespace: string): string | undefined {
    const known = this.#servedBy.get(identity);
    if (known === namespace || known === SEVERAL) return undefined;
    if (known !== undefined) this.#servedBy.set(identity, SEVERAL);
    else if (this.#servedBy.size < MAX_RESOLVED) this.#servedBy.set(identity, namespace);
    return known;
  }

  /**
   * Takes the place of `previous`: a key that served two namespaces there goes on counting as shared, for payloads of
   * both are under it. What one of the two sees from now on, the other sees too.
   */
  succeeds(previous: Keyring): void {
    const own = this.#servedBy;
    this.#servedBy = previous.#servedBy;
    for (const [identity, by] of own) {
      if (by === SEVERAL) this.#servedBy.set(identity, SEVERAL);
      else this.noteUse(identity, by);
    }
  }

  /**
   * A payload that binds no namespace opens only under a key that serves exactly one: once a second one was seen,
   * it is refused in both.
   *
   * @throws KeyholeError `format_not_enabled`
   */
  assertServesOnly(identity: string, namespace: string): void {
    if (this.#servedBy.get(identity) === namespace) return;
    if (this.forNamespace(namespace).insecureSharedKeyReads) return;
    throw new KeyholeError(
      'format_not_enabled',
      `payloads that bind no namespace do not open under a wrapping key that serves another namespace beside ${namespace}`,
    );
  }
}

function resolve(entry: Entry, namespace: string): NamespaceKeys {
  const wrap = madeBy(entry.wrap, namespace);
  return {
    namespace,
    write: entry.write ?? 'keyhole/v1',
    wrap,
    unwrap: [wrap, ...(entry.unwrap ?? []).map((make) => madeBy(make, namespace))],
    reads: entry.reads,
    compress: entry.compress,
    passThrough: entry.passThrough ?? 'allow',
    insecureSharedKeyReads: entry.insecureSharedKeyReads ?? false,
  };
}

function madeBy(make: WrappingKeyOf, namespace: string): WrappingKey {
  const key: unknown = make(namespace);
  if (isWrappingKey(key)) return key;
  throw new KeyholeError(
    'key_not_configured',
    `what makes the wrapping key of namespace ${namespace} must answer one: holds, generateDataKey and unwrap`,
  );
}

function assertEntries(given: unknown): void {
  if (!isList(given)) throw new TypeError('Keyring: takes a list of entries');
  for (const [index, entry] of given.entries())
    assertOptions(`entry ${index} of the Keyring`, entry, ENTRY_OPTIONS);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

/**
 * Where the key alone keeps a payload to its namespace, it may serve no other. A wrapping key may differ by namespace;
 * the keys that only the reads hold never do.
 */
function assertNotShared(entries: readonly Entry[]): void {
  for (const entry of entries.filter(({ insecureSharedKeyReads }) => insecureSharedKeyReads !== true)) {
    const byWrappingKey = entry.write === 'encryption-jwt' || entry.reads.has('encryption-jwt');
    const fixed = [...(byWrappingKey && entry.sharesKey ? [entry.wrap] : []), ...entry.reads.ownKeys()];
    const sharing = entries.filter((other) =>
      [other.wrap, ...other.reads.ownKeys()].some((key) => fixed.includes(key)),
    );
    const namespaces = sharing.flatMap((one) => one.namespaces);
    if (namespaces.length <= 1 && !namespaces.some((pattern) => pattern.includes('*'))) continue;
    throw new TypeError(
      `a key shared by several namespaces (${namespaces.join(', ')}) cannot read or write a format that binds no namespace`,
    );
  }
}

function assertCompresses({ write, compress }: Entry): void {
  if (compress === undefined) return;
  if (write === 'encryption-jwt') throw new TypeError('only keyhole/v1 is compressed before it is sealed');
  assertOptions<Compress>('compress', compress, { aboveBytes: ABOVE_BYTES });
}
