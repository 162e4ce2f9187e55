// `access`: who is believed, where roles come from, what they allow.
import type { Rule } from '../../access/policy.js';
import { matchesPattern } from '../../pattern.js';
import type { AccessConfig, IssuerConfig, KeysConfig } from '../config.js';
import { variable } from '../environment.js';
import { accountId } from '../reading/forms.js';
import { readShape, readValue } from '../reading/read-shape.js';
import { ACCESS, RULE } from '../reading/schema.js';
import { readCredentials } from './credentials.js';
import { readIssuers } from './issuers.js';
import type { Place } from './place.js';
import { readRoles } from './roles.js';
import { readSignIn } from './sign-in.js';
import { isVouchedFor, nobodyVouchesFor } from './vouching.js';

/** `undefined` where something is wrong. `keys` tells which namespaces are served. */
export async function readAccess(
  value: unknown,
  keys: readonly KeysConfig[],
  place: Place,
): Promise<AccessConfig | undefined> {
  const section = readShape(ACCESS, value ?? {}, 'access', place.problems);
  const account = accountOf(section.account, place);
  const issuers = await readIssuers(section.issuers ?? [], sourceIn(section.roles), place);
  const signIn = await readSignIn(section.signIn, issuers, place);
  const roles = await readRoles(section.roles, place);
  const rules = readRules(section.rules ?? [], keys, place);
  const credentials = readCredentials(section.credentials ?? [], place);
  if (roles === undefined) return undefined;
  if (roles.source === 'static') warnOfUnvouched(Object.keys(roles.people), issuers, place);
  return { account, issuers, roles, rules, credentials, ...(signIn === undefined ? {} : { signIn }) };
}

function accountOf(written: string | undefined, { env, problems }: Place): string | undefined {
  const given = variable(env, 'KEYHOLE_ACCOUNT');
  return given === undefined ? written : readValue(accountId, given.value, given.path, problems);
}

/** Where roles come from, as far as it is written: what an issuer's e-mail must be good for depends on it. */
function sourceIn(roles: unknown): unknown {
  return typeof roles === 'object' && roles !== null && 'source' in roles ? roles.source : undefined;
}

function readRules(list: readonly unknown[], keys: readonly KeysConfig[], { problems }: Place): Rule[] {
  const served = keys.flatMap(({ namespaces }) => namespaces);
  return list.flatMap((value, index) => {
    const path = `access.rules[${index}]`;
    const { roles, may, namespaces } = readShape(RULE, value, path, problems);
    for (const [at, name] of (namespaces ?? []).entries()) {
      if (
        problems.at('keys') ||
        name.includes('*') ||
        served.some((pattern) => matchesPattern(pattern, name))
      )
        continue;
      problems.add(`${path}.namespaces[${at}]`, 'no entry of keys covers this namespace');
    }
    if (roles === undefined || may === undefined) return [];
    return [{ roles, may, ...(namespaces === undefined ? {} : { namespaces }) }];
  });
}

/** One warning a domain: a list of people may be long. */
function warnOfUnvouched(
  emails: readonly string[],
  issuers: readonly IssuerConfig[],
  { warnings }: Place,
): void {
  const sentences = emails.filter((email) => !isVouchedFor(email, issuers)).map(nobodyVouchesFor);
  for (const sentence of new Set(sentences)) warnings.push(`access.roles.people: ${sentence}`);
}
