// What a request turned out to hold, gathered on the way for its record.
import { createHash, hash } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import type { AuditEvent, Reason } from '../access/audit/audit-log.js';
import type { Decision } from '../access/policy.js';

/** Digests listed one by one; beyond it one digest over all of them. */
const MAX_DIGESTS = 64;
const EMPTY = new Uint8Array(0);

/** Why a namespace may be worked on. */
export type Allowed = Extract<Decision, { allowed: true }>;

export class Findings {
  /** Of the requested namespace. */
  decision: Allowed | undefined;
  opened = 0;
  sealed = 0;
  passed = 0;
  failed = 0;
  refused = 0;
  readonly #bound = new Set<string>();
  readonly #openedBound = new Set<string>();
  readonly #alsoOpened = new Map<string, { readonly why: Allowed; payloads: number }>();
  readonly #keys = new Set<string>();
  #digests: readonly string[] = [];

  /** What a payload says of itself, opened or not. */
  boundTo(namespace: string): void {
    this.#bound.add(namespace);
  }

  /** A payload that is bound to this namespace was opened. */
  openedBoundTo(namespace: string): void {
    this.#openedBound.add(namespace);
  }

  /** The same, where it is not the requested one, and why it was allowed. */
  alsoOpened(namespace: string, why: Allowed): void {
    const also = this.#alsoOpened.get(namespace);
    if (also === undefined) this.#alsoOpened.set(namespace, { why, payloads: 1 });
    else also.payloads += 1;
  }

  /** The configured name of a wrapping key that was used. */
  usedKey(name: string): void {
    this.#keys.add(name);
  }

  /** All sealed payloads that came in or go out, in their order. */
  ciphertexts(payloads: readonly Payload[]): void {
    if (payloads.length > MAX_DIGESTS) this.#digests = [digestOfAll(payloads)];
    else this.#digests = payloads.map(({ data }) => hash('sha256', data ?? EMPTY));
  }

  /** The fields of the record that tell of the payloads. */
  recorded(): Pick<AuditEvent, 'why' | 'alsoOpened' | 'keys' | 'payloads' | 'digests'> & {
    readonly bound: string[];
  } {
    const { decision, opened, sealed, passed, failed, refused } = this;
    return {
      bound: [...new Set([...this.#openedBound, ...this.#bound])],
      why: decision === undefined ? undefined : reasonOf(decision),
      alsoOpened: [...this.#alsoOpened].map(([namespace, { why, payloads }]) => ({
        namespace,
        payloads,
        ...reasonOf(why),
      })),
      keys: [...this.#keys],
      payloads: { opened, sealed, passed, failed, refused },
      digests: this.#digests,
    };
  }
}

function reasonOf({ rule, role, source, ageMs }: Allowed): Reason {
  return { rule, role, source, ageMs };
}

/** Of the length of each one's data (four bytes, big-endian) and the data. */
function digestOfAll(payloads: readonly Payload[]): string {
  const whole = createHash('sha256');
  const length = Buffer.alloc(4);
  for (const { data } of payloads) {
    length.writeUInt32BE(data?.length ?? 0);
    whole.update(length).update(data ?? EMPTY);
  }
  return whole.digest('hex');
}
