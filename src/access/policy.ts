// Whether a caller's roles allow an action in a namespace: deny unless a rule allows.
import type { Principal } from './principal.js';
import type { Role } from './roles/role-source.js';

export type Action = 'decode' | 'encode' | 'download';

export interface Rule {
  readonly roles: readonly Role[];
  readonly may: readonly Action[];
  /** Names, or patterns with one `*`. Absent: every namespace that the role is held on. */
  readonly namespaces?: readonly string[];
}

export type Decision =
  | {
      readonly allowed: true;
      /** Index of the rule in the configuration, and the role that matched. */
      readonly rule: number;
      readonly role: Role;
      readonly source: string;
      readonly ageMs: number;
    }
  | {
      readonly allowed: false;
      readonly code: 'role_missing' | 'namespace_foreign' | 'email_missing';
      /** One sentence for the caller: which roles would do, never what others hold. */
      readonly message: string;
      readonly source: string;
      readonly ageMs: number;
    };

/** Tells what a caller may do. */
export interface Authorizer {
  /** @throws KeyholeError `authz_unavailable` with `retryAfterMs`; every other refusal is a `Decision`. */
  decide(principal: Principal, action: Action, namespace: string, signal: AbortSignal): Promise<Decision>;
}
