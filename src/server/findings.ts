// What a request turned out to hold, gathered on the way for its record.
import { createHash, hash } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import type { AuditEvent } from '../access/audit/audit-log.js';
import type { Decision } from '../access/policy.js';

/** Digests listed one by one; beyond it one digest over all of them. */
const MAX_DIGESTS = 64;
/** Names listed of the namespaces payloads are bound to. */
const MAX_BOUND = 100;
const EMPTY = new Uint8Array(0);

export class Findings {
  /** Why the requested namespace may be worked on. */
  decision: Extract<Decision, { allowed: true }> | undefined;
  opened = 0;
  sealed = 0;
  passed = 0;
  failed = 0;
  refused = 0;
  readonly #bound = new Set<string>();
  readonly #keys = new Set<string>();
  #digests: readonly string[] = [];

  boundTo(namespace: string): void {
    if (this.#bound.size < MAX_BOUND) this.#bound.add(namespace);
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
  recorded(): Pick<AuditEvent, 'why' | 'keys' | 'payloads' | 'digests'> & { readonly bound: string[] } {
    const { decision, opened, sealed, passed, failed, refused } = this;
    return {
      bound: [...this.#bound],
      why:
        decision === undefined
          ? undefined
          : {
              rule: decision.rule,
              role: decision.role,
              source: decision.source,
              ageMs: decision.ageMs,
            },
      keys: [...this.#keys],
      payloads: { opened, sealed, passed, failed, refused },
      digests: this.#digests,
    };
  }
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
