// What a verified token says of roles and groups, where its issuer is asked for that.
import type { JWTPayload } from 'jose';

/** Where a claim stands: its name, or the names that lead to it (`['realm_access', 'roles']`). */
export type ClaimPath = readonly string[];

export interface RoleClaimPaths {
  /** Claim with entries `NAMESPACE:ROLE`, as Temporal's default claim mapper reads them. */
  readonly permissions?: ClaimPath;
  /** Claim with names of groups or of an identity provider's own roles. */
  readonly groups?: ClaimPath;
}

export interface RoleClaims {
  readonly permissions: readonly string[];
  readonly groups: readonly string[];
  /** `iat`, in milliseconds since the epoch: what the token says is as old. */
  readonly issuedAtMs: number;
}

/** Whatever is no list of strings says nothing; in a list whatever is no string. */
export function roleClaimsOf(claims: JWTPayload, { permissions, groups }: RoleClaimPaths): RoleClaims {
  return {
    permissions: stringsAt(claims, permissions),
    groups: stringsAt(claims, groups),
    issuedAtMs: (claims.iat ?? 0) * 1000,
  };
}

function stringsAt(claims: unknown, path: ClaimPath | undefined): readonly string[] {
  if (path === undefined) return [];
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return [];
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : [];
}
