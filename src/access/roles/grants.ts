// Roles that a configuration grants: `ROLE@NAMESPACE`, or `account:ROLE` alone.
import { isRole } from './role-names.js';
import type { Role } from './role-source.js';

export interface Grant {
  readonly role: Role;
  /** `undefined`: every one. */
  readonly namespace: string | undefined;
}

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/** @throws TypeError for what is no grant. */
export function parseGrants(texts: readonly string[]): readonly Grant[] {
  return texts.map(grantOf);
}

export function rolesHeld(grants: readonly Grant[], namespace: string): readonly Role[] {
  return grants
    .filter((grant) => grant.namespace === undefined || grant.namespace === namespace)
    .map(({ role }) => role);
}

/** What is wrong with a grant, or `undefined`. */
export function grantProblem(text: string): string | undefined {
  const { role, namespace } = split(text);
  if (!isRole(role) || role.startsWith('claim:')) return `there is no role ${role}`;
  if (role.startsWith('account:')) {
    return namespace === undefined
      ? undefined
      : `${role} holds on every namespace: leave out the "@" and what follows`;
  }
  if (namespace === undefined) return `${role} is held on a namespace: ${role}@NAMESPACE`;
  return NAMESPACE.test(namespace) ? undefined : `what follows the "@" of ${role} is not a namespace`;
}

function grantOf(text: string): Grant {
  const problem = grantProblem(text);
  if (problem !== undefined) throw new TypeError(problem);
  return split(text);
}

function split(text: string): Grant {
  const at = text.indexOf('@');
  if (at === -1) return { role: text, namespace: undefined };
  return { role: text.slice(0, at), namespace: text.slice(at + 1) };
}
