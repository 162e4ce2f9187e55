// Roles of credentials, from the configuration; everybody else's from another source.
import type { Patience } from '../patience.js';
import type { Principal } from '../principal.js';
import { CREDENTIAL_ISSUER } from '../tokens/credentials.js';
import { parseGrants, rolesHeld, type Grant } from './grants.js';
import type { RoleAnswer, RoleSource } from './role-source.js';

export interface CredentialRolesOptions {
  /** Grants by name of the credential, in the form of `people` of the static source. */
  readonly grants: Readonly<Record<string, readonly string[]>>;
  readonly others: RoleSource;
}

export class CredentialRoles implements RoleSource {
  readonly #grants: ReadonlyMap<string, readonly Grant[]>;
  readonly #others: RoleSource;

  /** @throws TypeError for what is no grant. */
  constructor({ grants, others }: CredentialRolesOptions) {
    this.#grants = new Map(Object.entries(grants).map(([name, texts]) => [name, parseGrants(texts)]));
    this.#others = others;
  }

  get name(): string {
    return this.#others.name;
  }

  rolesOf(principal: Principal, namespace: string, patience: Patience): Promise<RoleAnswer> {
    const { method, issuer, subject } = principal;
    if (method !== 'credential' || issuer !== CREDENTIAL_ISSUER)
      return this.#others.rolesOf(principal, namespace, patience);
    const roles = rolesHeld(this.#grants.get(subject) ?? [], namespace);
    return Promise.resolve({ roles, source: 'credentials', ageMs: 0 });
  }

  people(namespace: string, patience: Patience): Promise<readonly string[] | undefined> {
    return this.#others.people(namespace, patience);
  }

  close(): void {
    this.#others.close();
  }
}
