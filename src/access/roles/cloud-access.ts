// Which roles a user's or group's access gives on one namespace: nothing but the row decides.
import type { Role } from './role-source.js';

/** What `temporal.api.cloud.identity.v1.Access` says. */
export interface CloudAccess {
  /** `undefined`: the answer carried no account access. */
  readonly account: CloudAccountAccess | undefined;
  /** By full name of the namespace. */
  readonly namespaces: ReadonlyMap<string, CloudNamespaceAccess>;
}

/** Enums are numbers; before API v0.3.0 they are 0 and the strings count. */
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

/** A resource of the account and its state. */
export interface CloudResource {
  readonly id: string;
  readonly state: number;
  readonly stateDeprecated: string;
}

/** What of `temporal.api.cloud.identity.v1.User` decides. */
export interface CloudUser extends CloudResource, CloudAccess {
  /** ASCII lower-cased. */
  readonly email: string;
}

/** What of `temporal.api.cloud.identity.v1.UserGroup` decides. */
export type CloudGroup = CloudResource & CloudAccess;

/** Somebody's or a group's access to one namespace (`UserNamespaceAssignment`, `UserGroupNamespaceAssignment`). */
export interface CloudAssignment {
  readonly id: string;
  /** ASCII lower-cased; empty for a group. */
  readonly email: string;
  /** `undefined`: the row carried no access. */
  readonly access: CloudNamespaceAccess | undefined;
  /** Whether the access comes from a role on the account or a project. */
  readonly inherited: boolean;
}

// temporal.api.cloud.resource.v1.ResourceState
const STATES = new Map([[3, 'active']]);
const STATE_STRINGS = new Map([['active', 'active']]);
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
const CUSTOM_ROLE = /^[\w.-]{1,128}$/;

/** Set, but not to anything we know. */
const UNKNOWN = Symbol('unknown');

export function isActive({ state, stateDeprecated }: CloudResource): boolean {
  return read(state, stateDeprecated, STATES, STATE_STRINGS) === 'active';
}

/** Whether a principal with this access sees other people's access: an Account Owner or Global Admin. */
export function seesAccessOfOthers({ account }: CloudAccess): boolean {
  const role = accountRoleOf(account);
  return role === 'owner' || role === 'admin';
}

/**
 * The roles that an access gives on a namespace; `undefined` if an account role, or the permission on this namespace, is
 * set but unknown.
 *
 * @param account - id of the account whose access this is; unknown, account roles grant nothing.
 */
export function rolesOfAccess(
  access: CloudAccess,
  namespace: string,
  account: string | undefined,
): readonly Role[] | undefined {
  const accountRole = accountRoleOf(access.account);
  const permission = permissionOf(access.namespaces.get(namespace));
  if (accountRole === UNKNOWN || permission === UNKNOWN) return undefined;
  const roles: Role[] = permission === undefined ? [] : [`namespace:${permission}`];
  if (account === undefined || !isOfAccount(namespace, account)) return roles;
  if (accountRole !== undefined) roles.push(`account:${accountRole}`);
  const custom = (access.account?.customRoles ?? []).filter((id) => CUSTOM_ROLE.test(id));
  return [...roles, ...custom.map((id) => `custom:${id}`)];
}

/** The roles of an assignment on its namespace; `undefined` if its permission is set but unknown. */
export function rolesOfAssignment({ access, inherited }: CloudAssignment): readonly Role[] | undefined {
  const permission = permissionOf(access);
  if (permission === UNKNOWN) return undefined;
  return permission === undefined ? [] : [`${inherited ? 'inherited' : 'namespace'}:${permission}`];
}

/** Whether a namespace (`NAME.ACCOUNT`) is one of this account's. */
export function isOfAccount(namespace: string, account: string): boolean {
  return namespace.slice(namespace.lastIndexOf('.') + 1) === account && namespace.includes('.');
}

function accountRoleOf(account: CloudAccountAccess | undefined): string | undefined | typeof UNKNOWN {
  if (account === undefined) return undefined;
  return read(account.role, account.roleDeprecated, ACCOUNT_ROLES, ACCOUNT_ROLE_STRINGS);
}

function permissionOf(access: CloudNamespaceAccess | undefined): string | undefined | typeof UNKNOWN {
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
