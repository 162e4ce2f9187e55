// Roles from a list in the configuration.
import { KeyholeError } from '../../errors.js';
import { asciiLowerCase } from '../issuer-options.js';
import type { Principal } from '../principal.js';
import { isRole } from './role-names.js';
import type { Role, RoleAnswer, RoleSource } from './role-source.js';

export interface StaticRolesOptions {
  /**
   * Grants by e-mail, compared ASCII lower-cased: `ROLE@NAMESPACE` for `namespace:`, `inherited:` and `custom:` roles,
   * `account:…` alone, which holds on every namespace.
   */
  readonly people: Readonly<Record<string, readonly string[]>>;
}

interface Grant {
  readonly role: Role;
  /** `undefined`: every one. */
  readonly namespace: string | undefined;
}

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

export class StaticRoles implements RoleSource {
  readonly name = 'static';
  readonly #grants = new Map<string, readonly Grant[]>();

  /** @throws TypeError for what is no grant, or an e-mail that is there twice. */
  constructor({ people }: StaticRolesOptions) {
    for (const [name, grants] of Object.entries(people)) {
      const email = asciiLowerCase(name);
      if (this.#grants.has(email)) throw new TypeError(`${email} is there twice`);
      this.#grants.set(email, grants.map(grantOf));
    }
  }

  rolesOf({ email }: Principal, namespace: string): Promise<RoleAnswer> {
    if (email === undefined) {
      return Promise.reject(
        new KeyholeError('email_missing', 'the access token carries no e-mail that counts here'),
      );
    }
    const held = (this.#grants.get(email) ?? []).filter(
      (grant) => grant.namespace === undefined || grant.namespace === namespace,
    );
    return Promise.resolve({ roles: held.map(({ role }) => role), ageMs: 0 });
  }

  people(): Promise<readonly string[]> {
    return Promise.resolve([...this.#grants.keys()].sort());
  }

  /** Nothing is cached. */
  clear(): void {
    return undefined;
  }

  /** Nothing is open. */
  close(): void {
    return undefined;
  }
}

/** What is wrong with a grant, or `undefined`. */
export function grantProblem(text: string): string | undefined {
  const { role, namespace } = split(text);
  if (!isRole(role)) return `there is no role ${role}`;
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
