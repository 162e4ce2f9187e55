// The interface of what answers "which roles does this person hold on this namespace".
import type { Patience } from '../patience.js';
import type { Principal } from '../principal.js';

/** `account:…`, `inherited:…`, `namespace:…`, `custom:…`: see role-names.ts. */
export type Role = string;

export interface RoleAnswer {
  readonly roles: readonly Role[];
  /** How old the oldest answer is that this one rests on, in milliseconds. */
  readonly ageMs: number;
  /** For the record, where it says more than the source's name. */
  readonly source?: string;
}

export interface RoleSource {
  /** For the record: `temporal-cloud`, `static`. */
  readonly name: string;
  /**
   * A definite no is an empty list, never an error.
   *
   * @throws KeyholeError `namespace_foreign` (a namespace of another account), `email_missing`,
   * `authz_unavailable` (the source cannot answer now; with `retryAfterMs`).
   */
  rolesOf(principal: Principal, namespace: string, patience: Patience): Promise<RoleAnswer>;
  /** E-mails of those who may hold a role on a namespace; `undefined` where the source cannot tell. Throws as `rolesOf` does. */
  people(namespace: string, patience: Patience): Promise<readonly string[] | undefined>;
  /** Ends connections. */
  close(): void;
}
