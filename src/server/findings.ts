// What a request turned out to hold, gathered on the way for its record.
import { hash } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import type { AuditEvent } from '../access/audit-log.js';
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
  readonly #digests: string[] = [];

  boundTo(namespace: string): void {
    if (this.#bound.size < MAX_BOUND) this.#bound.add(namespace);
  }

  /** The configured name of a wrapping key that was used. */
  usedKey(name: string): void {
    this.#keys.add(name);
  }

  /** A sealed payload that came in or goes out. */
  ciphertext({ data }: Payload): void {
    this.#digests.push(hash('sha256', data ?? EMPTY));
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
      digests:
        this.#digests.length <= MAX_DIGESTS ? this.#digests : [hash('sha256', this.#digests.join('\n'))],
    };
  }
}
