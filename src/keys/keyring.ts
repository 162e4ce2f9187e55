// Which wrapping key writes for a namespace, and which may still open what was written.
import { KeyholeError } from '../errors.js';
import { isNamespace } from './namespace.js';
import type { WrappingKey } from './wrapping-key.js';

export type WriteFormat = 'keyhole/v1' | 'encryption-jwt';
export type ForeignFormat = 'encryption-jwt';

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
  readonly reads?: readonly ForeignFormat[];
  /** What happens to payloads without a mark of ours. Default is `allow`. */
  readonly passThrough?: 'allow' | 'refuse';
  /** Whether the key's name does not depend on the namespace, so that several namespaces may share it. */
  readonly sharesKey: boolean;
}

/** An entry, resolved for one namespace. */
export interface NamespaceKeys {
  readonly namespace: string;
  readonly write: WriteFormat;
  readonly wrap: WrappingKey;
  /** All that may open, `wrap` first. */
  readonly unwrap: readonly WrappingKey[];
  readonly reads: ReadonlySet<ForeignFormat>;
  readonly passThrough: 'allow' | 'refuse';
}

const SEVERAL = Symbol('several namespaces');

/** Namespaces kept resolved; beyond it the oldest is forgotten. */
const MAX_RESOLVED = 10_000;

/**
 * The wrapping keys of all namespaces. The most specific entry wins: a name beats a pattern, then more literal
 * characters; a tie is a `TypeError` at construction, and so is a format without binding under a key that several
 * namespaces share (`docs/format.md`, "One key, one namespace").
 */
export class Keyring {
  readonly #patterns: readonly { readonly pattern: string; readonly entry: KeyringEntry }[];
  readonly #resolved = new Map<string, NamespaceKeys>();
  readonly #servedBy = new Map<string, string | typeof SEVERAL>();

  constructor(entries: readonly KeyringEntry[]) {
    this.#patterns = entries
      .flatMap((entry) => entry.namespaces.map((pattern) => ({ pattern, entry })))
      .sort((a, b) => specificity(b.pattern) - specificity(a.pattern));
    assertPatterns(this.#patterns.map(({ pattern }) => pattern));
    for (const entry of entries) assertNotShared(entry);
  }

  /**
   * @throws KeyholeError `namespace_invalid`, or `key_not_configured` where no entry matches.
   */
  forNamespace(namespace: string): NamespaceKeys {
    const known = this.#resolved.get(namespace);
    if (known !== undefined) return known;
    if (!isNamespace(namespace))
      throw new KeyholeError('namespace_invalid', 'what was given is not a namespace');
    const entry = this.#patterns.find(({ pattern }) => matches(pattern, namespace))?.entry;
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
   * Records which namespace a wrapping key was used in, by the id its service resolved it to. A key that finds no
   * room in the record counts as shared.
   */
  noteUse(keyId: string, namespace: string): void {
    const known = this.#servedBy.get(keyId);
    if (known === namespace) return;
    if (known !== undefined) this.#servedBy.set(keyId, SEVERAL);
    else if (this.#servedBy.size < MAX_RESOLVED) this.#servedBy.set(keyId, namespace);
  }

  /**
   * A payload that binds no namespace opens only under a key that serves exactly one: once a second one was seen,
   * it is refused in both.
   *
   * @throws KeyholeError `format_not_enabled`
   */
  assertServesOnly(keyId: string, namespace: string): void {
    if (this.#servedBy.get(keyId) === namespace) return;
    throw new KeyholeError(
      'format_not_enabled',
      `payloads that bind no namespace do not open under a wrapping key that serves another namespace beside ${namespace}`,
    );
  }
}

/** Whether `pattern` (a name, or a pattern with one `*`) covers `namespace`. */
export function matches(pattern: string, namespace: string): boolean {
  const star = pattern.indexOf('*');
  if (star === -1) return pattern === namespace;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return (
    namespace.length >= head.length + tail.length && namespace.startsWith(head) && namespace.endsWith(tail)
  );
}

function resolve(entry: KeyringEntry, namespace: string): NamespaceKeys {
  const wrap = entry.wrap(namespace);
  const write = entry.write ?? 'keyhole/v1';
  const reads = new Set(entry.reads);
  if (write !== 'keyhole/v1') reads.add(write);
  const unwrap = [wrap, ...(entry.unwrap ?? []).map((make) => make(namespace))];
  return { namespace, write, wrap, unwrap, reads, passThrough: entry.passThrough ?? 'allow' };
}

/** A name beats every pattern; among patterns, more literal characters win. */
function specificity(pattern: string): number {
  return pattern.includes('*') ? pattern.length - 1 : 1_000;
}

/** Whether `text` is a namespace, or a pattern with one `*`. */
export function isNamespacePattern(text: string): boolean {
  return text.split('*').length <= 2 && isNamespace(text.replace('*', 'x'));
}

function assertPatterns(patterns: readonly string[]): void {
  for (const [index, pattern] of patterns.entries()) {
    if (!isNamespacePattern(pattern)) {
      throw new TypeError(`"${pattern}" is neither a namespace nor a pattern with one *`);
    }
    const rivals = patterns.slice(0, index).filter((other) => areRivals(other, pattern));
    if (rivals[0] !== undefined) throw new TypeError(`"${pattern}" and "${rivals[0]}" are equally specific`);
  }
}

/** Whether two patterns are equally specific, and some namespace matches both. */
export function areRivals(a: string, b: string): boolean {
  if (specificity(a) !== specificity(b)) return false;
  if (!a.includes('*') || !b.includes('*')) return a === b;
  const [headA = '', tailA = ''] = a.split('*');
  const [headB = '', tailB = ''] = b.split('*');
  const heads = headA.startsWith(headB) || headB.startsWith(headA);
  return heads && (tailA.endsWith(tailB) || tailB.endsWith(tailA));
}

function assertNotShared(entry: KeyringEntry): void {
  const unbound = entry.write === 'encryption-jwt' || (entry.reads ?? []).length > 0;
  const several = entry.namespaces.length > 1 || entry.namespaces.some((pattern) => pattern.includes('*'));
  if (!unbound || !several || !entry.sharesKey) return;
  throw new TypeError(
    `a key shared by several namespaces (${entry.namespaces.join(', ')}) cannot read or write a format that binds no namespace`,
  );
}
