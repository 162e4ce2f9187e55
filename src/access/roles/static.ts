// Roles from a list in the configuration.
import type { Principal } from '../principal.js';
import { asciiLowerCase } from '../tokens/issuer-options.js';
import { emailOf } from './email-of.js';
import { parseGrants, rolesHeld, type Grant } from './grants.js';
import type { RoleAnswer, RoleSource } from './role-source.js';

export interface StaticRolesOptions {
  /**
   * Grants by e-mail, compared ASCII lower-cased: `ROLE@NAMESPACE` for `namespace:`, `inherited:` and `custom:` roles,
   * `account:…` alone, which holds on every namespace.
   */
  readonly people: Readonly<Record<string, readonly string[]>>;
}

export class StaticRoles implements RoleSource {
  readonly name = 'static';
  readonly #grants = new Map<string, readonly Grant[]>();

  /** @throws TypeError for what is no grant, or an e-mail that is there twice. */
  constructor({ people }: StaticRolesOptions) {
    for (const [name, grants] of Object.entries(people)) {
      const email = asciiLowerCase(name);
      if (this.#grants.has(email)) throw new TypeError(`${email} is there twice`);
      this.#grants.set(email, parseGrants(grants));
    }
  }

  async rolesOf(principal: Principal, namespace: string): Promise<RoleAnswer> {
    const grants = this.#grants.get(emailOf(principal)) ?? [];
    return Promise.resolve({ roles: rolesHeld(grants, namespace), ageMs: 0 });
  }

  people(): Promise<readonly string[]> {
    return Promise.resolve([...this.#grants.keys()].sort());
  }

  /** Nothing is open. */
  close(): void {
    return undefined;
  }
}
