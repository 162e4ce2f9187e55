// Which roles the users of an account give somebody on one namespace: nothing but the answer decides.
import type { Role } from './role-source.js';

/** What of `temporal.api.cloud.identity.v1.User` decides. Enums are numbers; before API v0.3.0 they are 0 and the strings count. */
export interface CloudUser {
  readonly email: string;
  readonly state: number;
  readonly stateDeprecated: string;
  /** `undefined`: the answer carried no account access. */
  readonly account: CloudAccountAccess | undefined;
  /** By full name of the namespace. */
  readonly namespaces: ReadonlyMap<string, CloudNamespaceAccess>;
}

export interface CloudAccountAccess {
  readonly role: number;
  readonly roleDeprecated: string;
  /** Ids of custom roles. */
  readonly customRoles: readonly string[];
}

export interface CloudNamespaceAccess {
  readonly permission: number;
  readonly permissionDeprecated: string;
}

// temporal.api.cloud.resource.v1.ResourceState
const STATES = new Map([[3, 'active']]);
// temporal.api.cloud.identity.v1.AccountAccess.Role, and what `role_deprecated` says instead
const ACCOUNT_ROLES = new Map([
  [1, 'owner'],
  [2, 'admin'],
  [3, 'developer'],
  [4, 'finance_admin'],
  [5, 'read'],
  [6, 'metrics_read'],
]);
const ACCOUNT_ROLE_STRINGS = new Map([
  ['owner', 'owner'],
  ['admin', 'admin'],
  ['developer', 'developer'],
  ['financeadmin', 'finance_admin'],
  ['read', 'read'],
  ['metricsread', 'metrics_read'],
]);
// temporal.api.cloud.identity.v1.NamespaceAccess.Permission; never compared by size: ADMIN is the smallest
const PERMISSIONS = new Map([
  [1, 'admin'],
  [2, 'write'],
  [3, 'read'],
]);
const PERMISSION_STRINGS = new Map(['admin', 'write', 'read'].map((name) => [name, name]));
const STATE_STRINGS = new Map([['active', 'active']]);
const CUSTOM_ROLE = /^[\w.-]{1,128}$/;

/**
 * The roles of the one active user with this e-mail on a namespace. Nobody, or two, with the e-mail: none. A state,
 * account role or permission on this namespace that is set but unknown: none at all, whatever else is held.
 *
 * @param email - ASCII lower-cased.
 * @param account - id of the account whose users these are; unknown, account roles grant nothing.
 */
export function rolesFromUsers(
  users: readonly CloudUser[],
  email: string,
  namespace: string,
  account: string | undefined,
): readonly Role[] {
  const [user, ...others] = users.filter((candidate) => candidate.email === email);
  if (user === undefined || others.length > 0) return [];
  if (read(user.state, user.stateDeprecated, STATES, STATE_STRINGS) !== 'active') return [];
  const accountRole = accountRoleOf(user);
  const permission = permissionOn(user, namespace);
  if (accountRole === UNKNOWN || permission === UNKNOWN) return [];
  const roles: Role[] = permission === undefined ? [] : [`namespace:${permission}`];
  if (account === undefined || !isOfAccount(namespace, account)) return roles;
  if (accountRole !== undefined) roles.push(`account:${accountRole}`);
  const custom = (user.account?.customRoles ?? []).filter((id) => CUSTOM_ROLE.test(id));
  return [...roles, ...custom.map((id) => `custom:${id}`)];
}

/** Whether a namespace (`NAME.ACCOUNT`) is one of this account's. */
export function isOfAccount(namespace: string, account: string): boolean {
  return namespace.slice(namespace.lastIndexOf('.') + 1) === account && namespace.includes('.');
}

/** Set, but not to anything we know. */
const UNKNOWN = Symbol('unknown');

function accountRoleOf({ account }: CloudUser): string | undefined | typeof UNKNOWN {
  if (account === undefined) return undefined;
  return read(account.role, account.roleDeprecated, ACCOUNT_ROLES, ACCOUNT_ROLE_STRINGS);
}

function permissionOn({ namespaces }: CloudUser, namespace: string): string | undefined | typeof UNKNOWN {
  const access = namespaces.get(namespace);
  if (access === undefined) return undefined;
  return read(access.permission, access.permissionDeprecated, PERMISSIONS, PERMISSION_STRINGS);
}

/** The enum; unspecified (0), the exact string of older API versions. */
function read(
  value: number,
  text: string,
  values: ReadonlyMap<number, string>,
  texts: ReadonlyMap<string, string>,
): string | undefined | typeof UNKNOWN {
  if (value !== 0) return values.get(value) ?? UNKNOWN;
  if (text === '') return undefined;
  return texts.get(text) ?? UNKNOWN;
}
