// People whose roles in two namespaces come and go at random, as the Cloud Operations API tells of them.
import type { Random } from '../access/random.js';
import type { Behaviour, CloudPerson } from '../parts/cloud-operations.js';
import type { Rights } from './rights.js';

/** How somebody has a right, or has none. */
type Standing = 'admin' | 'inherited' | 'group' | 'none' | 'read';
const WAYS: readonly Standing[] = ['admin', 'inherited', 'group'];
const NO_WAYS: readonly Standing[] = ['none', 'read'];

export interface StaffOptions {
  readonly behaviour: Behaviour;
  readonly rights: Rights;
  readonly namespaces: readonly string[];
  readonly random: Random;
  /** E-mails of those who have the right all the time. */
  readonly always: readonly string[];
  readonly never: readonly string[];
  readonly sometimes: readonly string[];
}

export class Staff {
  readonly #options: StaffOptions;
  readonly #standings = new Map<string, Map<string, Standing>>();
  /** Rights given and taken so far. */
  changes = 0;

  constructor(options: StaffOptions) {
    this.#options = options;
    const { always, never, sometimes, namespaces, rights } = options;
    for (const email of [...always, ...never, ...sometimes]) {
      const standing = always.includes(email) ? 'admin' : 'read';
      this.#standings.set(email, new Map(namespaces.map((namespace) => [namespace, standing])));
      if (standing === 'admin') for (const namespace of namespaces) rights.grant(email, namespace);
    }
    this.#publish();
  }

  /** One of them gets a right that they do not have, or loses one. */
  change(): void {
    const { random, rights, sometimes, namespaces } = this.#options;
    const email = pick(random, sometimes);
    const namespace = pick(random, namespaces);
    const held = rights.has(email, namespace);
    this.#standings.get(email)?.set(namespace, pick(random, held ? NO_WAYS : WAYS));
    if (!held) rights.grant(email, namespace);
    this.#publish();
    if (held) rights.revoke(email, namespace);
    this.changes += 1;
  }

  #publish(): void {
    const { behaviour, namespaces } = this.#options;
    behaviour.users = [...this.#standings].map(([email, standings]) => personOf(email, standings));
    behaviour.groups = namespaces.map((namespace) => ({
      id: `admins of ${namespace}`,
      namespaces: { [namespace]: 'admin' },
      members: [...this.#standings].flatMap(([email, of]) => (of.get(namespace) === 'group' ? [email] : [])),
    }));
  }
}

function personOf(email: string, standings: ReadonlyMap<string, Standing>): CloudPerson {
  const having = (standing: Standing): string[] =>
    [...standings].flatMap(([namespace, one]) => (one === standing ? [namespace] : []));
  const direct = (['admin', 'read'] as const).flatMap((role) => having(role).map((name) => [name, role]));
  return {
    email,
    namespaces: Object.fromEntries(direct) as Record<string, string>,
    inherited: Object.fromEntries(having('inherited').map((name) => [name, 'admin'])),
  };
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}
