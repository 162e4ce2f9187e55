// The three people of dev mode, and what each of them may do.
import type { Role } from '../access/roles/role-source.js';

export const ORDERS = 'orders.a1b2c';
export const BILLING = 'billing.a1b2c';
/** The two namespaces of dev mode. */
export const NAMESPACES: readonly string[] = [ORDERS, BILLING];

export interface Person {
  readonly email: string;
  readonly name: string;
  /** `sub` of the person's tokens. Default is `dev|` and the local part of the e-mail. */
  readonly subject?: string;
  /** Default is `true`. */
  readonly emailVerified?: boolean;
  /** In access tokens, and in ID tokens for who asks for the scope `groups`. Default is none. */
  readonly claims?: { readonly permissions?: readonly string[]; readonly groups?: readonly string[] };
  /** One line below the name on the sign-in page. */
  readonly about?: string;
}

/** `sub` of a person's tokens. */
export function subjectOf(person: Person): string {
  return person.subject ?? `dev|${person.email.split('@', 1)[0] ?? ''}`;
}

export const ALICE: Person = {
  email: 'alice@example.com',
  name: 'Alice, an admin',
  about: `admin of ${ORDERS}, writes to ${BILLING}`,
};
export const RITA: Person = {
  email: 'rita@example.com',
  name: 'Rita, a reader',
  about: 'reader of both namespaces',
};
export const SAM: Person = {
  email: 'sam@example.com',
  name: 'Sam, a stranger',
  about: 'no role anywhere',
};
export const PEOPLE: readonly Person[] = [ALICE, RITA, SAM];

/** Roles by e-mail, in the configuration's form `ROLE@NAMESPACE`. The stranger is not in it at all. */
export const ROLES: Readonly<Record<string, readonly Role[]>> = {
  [ALICE.email]: [`namespace:admin@${ORDERS}`, `namespace:write@${BILLING}`],
  [RITA.email]: [`namespace:read@${ORDERS}`, `namespace:read@${BILLING}`],
};

/** What somebody sees of a namespace's payloads in the Web UI, in half a sentence. */
export function sightOf(email: string | undefined, namespace: string): string {
  if (email === ALICE.email && namespace === ORDERS) return 'every payload in the clear';
  if (email === ALICE.email) return 'ciphertext and a red bar: this role may write, not read';
  if (email === undefined) return 'a notice in place of each payload but the large one: sign in first';
  return 'a notice in place of each payload: an admin role is missing';
}
