// Roles that the caller's own token names, for a service without a Cloud Operations API.
import { ageMs as ageOf, systemClock, type Clock } from '../../clock.js';
import type { Principal } from '../principal.js';
import { parseGrants, rolesHeld, type Grant } from './grants.js';
import { isRole } from './role-names.js';
import type { Role, RoleAnswer, RoleSource } from './role-source.js';

export interface TokenClaimsRolesOptions {
  /** Grants by group, in the form of `people` of the static source. Default is none. */
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  /** Default is the system's. */
  readonly clock?: Clock;
}

/** The scope of Temporal's default claim mapper that stands for every namespace (`primitives.SystemLocalNamespace`). */
const SYSTEM = 'temporal-system';
const PERMISSIONS: ReadonlySet<string> = new Set(['admin', 'write', 'read']);

/**
 * `NAMESPACE:ROLE` of the permissions claim becomes `namespace:ROLE`, `temporal-system:ROLE` becomes `inherited:ROLE` on
 * every namespace; a `worker` may nothing here. A group becomes `claim:GROUP`, and what the configuration grants it.
 * Nobody is asked: a role that was taken away counts until the token ends.
 */
export class TokenClaimsRoles implements RoleSource {
  readonly name = 'token-claims';
  readonly #groups: ReadonlyMap<string, readonly Grant[]>;
  readonly #clock: Clock;

  /** @throws TypeError for what is no grant. */
  constructor({ groups = {}, clock = systemClock }: TokenClaimsRolesOptions = {}) {
    this.#groups = new Map(Object.entries(groups).map(([name, texts]) => [name, parseGrants(texts)]));
    this.#clock = clock;
  }

  rolesOf({ roleClaims }: Principal, namespace: string): Promise<RoleAnswer> {
    if (roleClaims === undefined) return Promise.resolve({ roles: [], ageMs: 0 });
    const { permissions, groups, issuedAtMs } = roleClaims;
    const roles = [
      ...permissions.flatMap((entry) => rolesByPermission(entry, namespace)),
      ...groups.map((group) => `claim:${group}`).filter(isRole),
      ...groups.flatMap((group) => rolesHeld(this.#groups.get(group) ?? [], namespace)),
    ];
    const at = { wallMs: issuedAtMs, monotonicMs: this.#clock.monotonic() };
    return Promise.resolve({ roles: [...new Set(roles)], ageMs: Math.max(0, ageOf(this.#clock, at)) });
  }

  /** Only tokens tell. */
  people(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** Nothing is open. */
  close(): void {
    return undefined;
  }
}

/** The role's case does not matter, the namespace's does: as in Temporal's mapper. */
function rolesByPermission(entry: string, namespace: string): readonly Role[] {
  const colon = entry.indexOf(':');
  const [scope, permission] = [entry.slice(0, colon), entry.slice(colon + 1).toLowerCase()];
  if (colon === -1 || !PERMISSIONS.has(permission)) return [];
  if (scope === SYSTEM) return [`inherited:${permission}`];
  return scope === namespace ? [`namespace:${permission}`] : [];
}
