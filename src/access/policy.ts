// Whether a caller's roles allow an action in a namespace: deny unless a rule allows.
import { isKeyholeError } from '../errors.js';
import { isPattern, matchesPattern } from '../pattern.js';
import type { Patience } from './patience.js';
import type { Principal } from './principal.js';
import { isRole } from './roles/role-names.js';
import type { Role, RoleAnswer, RoleSource } from './roles/role-source.js';

export const ACTIONS = ['decode', 'encode', 'download'] as const;
export type Action = (typeof ACTIONS)[number];

export interface Rule {
  readonly roles: readonly Role[];
  readonly may: readonly Action[];
  /** Names, or patterns with one `*`. Absent: every namespace that the role is held on. */
  readonly namespaces?: readonly string[];
}

export type Decision =
  | {
      readonly allowed: true;
      /** Index of the rule in the configuration, and the role that matched. */
      readonly rule: number;
      readonly role: Role;
      readonly source: string;
      readonly ageMs: number;
    }
  | {
      readonly allowed: false;
      readonly code: 'role_missing' | 'namespace_foreign' | 'email_missing';
      /** One sentence for the caller: which roles would do, never what others hold. */
      readonly message: string;
      readonly source: string;
      readonly ageMs: number;
    };

/** Tells what a caller may do. */
export interface Authorizer {
  /** @throws KeyholeError `authz_unavailable` with `retryAfterMs`; every other refusal is a `Decision`. */
  decide(principal: Principal, action: Action, namespace: string, patience: Patience): Promise<Decision>;
}

export interface PolicyOptions {
  /** In the configuration's order: the first that allows is the one on record. None at all: nobody may do anything. */
  readonly rules: readonly Rule[];
  readonly source: RoleSource;
}

/** Allows what a rule allows to a role that the source says is held; refuses everything else. */
export class Policy implements Authorizer {
  readonly #rules: readonly Rule[];
  readonly #source: RoleSource;

  /** @throws TypeError for a rule with an unknown role or action, or a namespace pattern that cannot be used. */
  constructor({ rules, source }: PolicyOptions) {
    rules.forEach(checkRule);
    this.#rules = rules;
    this.#source = source;
  }

  async decide(
    principal: Principal,
    action: Action,
    namespace: string,
    patience: Patience,
  ): Promise<Decision> {
    let answer: RoleAnswer;
    try {
      answer = await this.#source.rolesOf(principal, namespace, patience);
    } catch (error) {
      return refusalOf(error, this.#source.name);
    }
    const { roles, ageMs, source = this.#source.name } = answer;
    for (const [rule, { roles: wanted }] of this.#rulesFor(action, namespace)) {
      const role = wanted.find((name) => roles.includes(name));
      if (role !== undefined) return { allowed: true, rule, role, source, ageMs };
    }
    const message = this.#whatIsMissing(action, namespace);
    return { allowed: false, code: 'role_missing', message, source, ageMs };
  }

  /** The rules about an action in a namespace, each with its place in the configuration. */
  #rulesFor(action: Action, namespace: string): (readonly [number, Rule])[] {
    return [...this.#rules.entries()].filter(
      ([, { may, namespaces }]) =>
        may.includes(action) && (namespaces?.some((pattern) => matchesPattern(pattern, namespace)) ?? true),
    );
  }

  #whatIsMissing(action: Action, namespace: string): string {
    const roles = new Set(this.#rulesFor(action, namespace).flatMap(([, rule]) => rule.roles));
    if (roles.size === 0) return `nobody may ${action} in ${namespace}: no rule allows it`;
    return `to ${action} in ${namespace} you need one of: ${[...roles].join(', ')}`;
  }
}

/** A definite no of the source is a decision; that it cannot answer now is not. */
function refusalOf(error: unknown, source: string): Decision {
  if (isKeyholeError(error) && (error.code === 'namespace_foreign' || error.code === 'email_missing')) {
    return { allowed: false, code: error.code, message: error.message, source, ageMs: 0 };
  }
  throw error;
}

function checkRule({ roles, may, namespaces = [] }: Rule, index: number): void {
  const role = roles.find((name) => !isRole(name));
  if (role !== undefined) throw new TypeError(`rules[${index}]: there is no role ${role}`);
  const action = may.find((name) => !ACTIONS.includes(name));
  if (action !== undefined) throw new TypeError(`rules[${index}]: there is no action ${action}`);
  const pattern = namespaces.find((text) => !isPattern(text));
  if (pattern !== undefined)
    throw new TypeError(`rules[${index}]: ${pattern} is no name or pattern with one *`);
}
