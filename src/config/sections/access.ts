// `access`: who is believed, where roles come from, what they allow.
import { X509Certificate } from 'node:crypto';
import type { Rule } from '../../access/policy.js';
import { apiKeyFile, fixedApiKey, type ApiKey } from '../../access/roles/api-key.js';
import { grantProblem } from '../../access/roles/grants.js';
import { TEMPORAL_CLOUD_ISSUER } from '../../access/tokens/issuer-options.js';
import type { RoleClaimPaths } from '../../access/tokens/role-claims.js';
import { matches } from '../../keys/keyring.js';
import type { AccessConfig, CredentialConfig, IssuerConfig, KeysConfig, RolesConfig } from '../config.js';
import { variable } from '../environment.js';
import { parseAddress } from '../reading/address.js';
import { endOfDay } from '../reading/day.js';
import { pathTo, type Problems } from '../reading/problems.js';
import { readShape, readValue, type ReadShape } from '../reading/read-shape.js';
import { ACCESS, accountId, CREDENTIAL, ISSUER, PRESET_ISSUER, ROLES, RULE } from '../reading/schema.js';
import { readTextFile } from '../reading/text-file.js';
import { fileIn, type Place } from './place.js';
import { readSignIn } from './sign-in.js';
import { isVouchedFor, nobodyVouchesFor } from './vouching.js';

const DEFAULT_OPS_ADDRESS = 'saas-api.tmprl.cloud:443';
const DEFAULT_OPS_API_VERSION = '2024-05-13-00';

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

async function readIssuers(list: readonly unknown[], source: unknown, place: Place): Promise<IssuerConfig[]> {
  const issuers: IssuerConfig[] = [];
  const seen = { names: new Map<string, string>(), domains: new Map<string, string>() };
  for (const [index, value] of list.entries()) {
    const path = `access.issuers[${index}]`;
    const named = typeof value === 'object' && value !== null && 'preset' in value;
    const issuer = named
      ? presetOf(value, source, path, seen, place)
      : await issuerOf(value, source, path, seen, place);
    if (issuer !== undefined) issuers.push(issuer);
  }
  return issuers;
}

/** Where each name and domain stands so far: an issuer has one entry, and a domain one issuer. */
interface Seen {
  readonly names: Map<string, string>;
  readonly domains: Map<string, string>;
}

/** Its people are those of all customers of Temporal Cloud: only the account's own list tells which are ours. */
function presetOf(
  value: unknown,
  source: unknown,
  path: string,
  seen: Seen,
  { problems }: Place,
): IssuerConfig | undefined {
  const { preset, emailDomains, subjects } = readShape(PRESET_ISSUER, value, path, problems);
  once(seen.names, preset, `${path}.preset`, problems);
  domainsOnce(seen, emailDomains, path, problems);
  if (preset === undefined) return undefined;
  if (source === 'static' && emailDomains === undefined && !problems.at(`${path}.emailDomains`)) {
    problems.add(
      `${path}.emailDomains`,
      'is required for source: static: this issuer serves all customers of Temporal Cloud',
    );
  }
  return {
    preset,
    ...(emailDomains === undefined ? {} : { emailDomains }),
    ...(subjects === undefined ? {} : { subjects }),
  };
}

function domainsOnce(
  { domains }: Seen,
  written: readonly string[] | undefined,
  path: string,
  problems: Problems,
): void {
  for (const [at, domain] of (written ?? []).entries())
    once(domains, domain.toLowerCase(), `${path}.emailDomains[${at}]`, problems);
}

function once(seen: Map<string, string>, name: string | undefined, path: string, problems: Problems): void {
  const first = name === undefined ? undefined : seen.get(name);
  if (first !== undefined) problems.add(path, `is the same as ${first}`);
  else if (name !== undefined) seen.set(name, path);
}

async function issuerOf(
  value: unknown,
  source: unknown,
  path: string,
  seen: Seen,
  place: Place,
): Promise<IssuerConfig | undefined> {
  const written = readShape(ISSUER, value, path, place.problems);
  const { issuer, audience, jwks, ca, claims, emailDomains, subjects, accept } = written;
  const byClaims = source === 'token-claims';
  once(seen.names, issuer, `${path}.issuer`, place.problems);
  domainsOnce(seen, emailDomains, path, place.problems);
  if (issuer === TEMPORAL_CLOUD_ISSUER) {
    const sentence = 'serves all customers of Temporal Cloud: write preset: temporal-cloud';
    place.problems.add(`${path}.issuer`, sentence);
  }
  if (!byClaims && emailDomains === undefined && !place.problems.at(`${path}.emailDomains`)) {
    place.problems.add(`${path}.emailDomains`, 'is required: roles are looked up by e-mail');
  }
  const pem = ca === undefined ? undefined : await readCertificates(fileIn(place, ca), `${path}.ca`, place);
  if (issuer === undefined || audience === undefined || claims === undefined) return undefined;
  return {
    issuer,
    audience,
    emailClaim: claims.email,
    ...(claims.emailVerified === undefined ? {} : { emailVerifiedClaim: claims.emailVerified }),
    ...(byClaims ? { roleClaims: roleClaimsOf(claims) } : {}),
    ...(jwks === undefined ? {} : { jwks }),
    ...(pem === undefined ? {} : { ca: pem }),
    ...(emailDomains === undefined ? {} : { emailDomains }),
    ...(subjects === undefined ? {} : { subjects }),
    ...(accept === undefined ? {} : { accept }),
  };
}

/** A private CA. */
export async function readCertificates(
  file: string,
  path: string,
  { problems }: Place,
): Promise<string | undefined> {
  const result = await readTextFile(file, { secret: false, maxBytes: 1 << 20 });
  if ('sentence' in result) problems.add(path, result.sentence);
  else if (isCertificate(result.text)) return result.text;
  else problems.add(path, 'the file does not hold a certificate in PEM');
  return undefined;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

async function readRoles(value: unknown, place: Place): Promise<RolesConfig | undefined> {
  const { problems } = place;
  const written = readShape(ROLES, value, 'access.roles', problems);
  const { source, people, freshSeconds, staleSeconds } = written;
  if (freshSeconds !== undefined && staleSeconds !== undefined && staleSeconds < freshSeconds) {
    problems.add('access.roles.staleSeconds', 'must not be less than freshSeconds');
  }
  if (source === 'static') return staticRoles(written, place);
  if (source === 'token-claims') return tokenClaims(written, place);
  if (written.groups !== undefined) problems.add('access.roles.groups', 'is only for source: token-claims');
  if (people !== undefined) problems.add('access.roles.people', 'is only for source: static');
  const ca = await caOf(written, place);
  const apiKey = source === undefined ? undefined : await apiKeyOf(written, place);
  const address = opsAddress(place);
  const apiVersion = opsApiVersion(place);
  if (apiKey === undefined || freshSeconds === undefined || staleSeconds === undefined) return undefined;
  return {
    source: 'temporal-cloud',
    address,
    apiVersion,
    apiKey,
    freshMs: freshSeconds * 1000,
    staleMs: staleSeconds * 1000,
    ...(ca === undefined ? {} : { ca }),
  };
}

type Roles = ReadShape<typeof ROLES>;

async function caOf({ ca }: Roles, place: Place): Promise<string | undefined> {
  return ca === undefined ? undefined : readCertificates(fileIn(place, ca), 'access.roles.ca', place);
}

function staticRoles(
  { people, ca, apiKeyFile: file, groups }: Roles,
  { problems }: Place,
): RolesConfig | undefined {
  const path = 'access.roles.people';
  if (groups !== undefined) problems.add('access.roles.groups', 'is only for source: token-claims');
  if (ca !== undefined) problems.add('access.roles.ca', 'is only for source: temporal-cloud');
  if (file !== undefined) problems.add('access.roles.apiKeyFile', 'is only for source: temporal-cloud');
  if (people === undefined) {
    if (!problems.at(path)) problems.add(path, 'is required for source: static');
    return undefined;
  }
  const emails = new Map<string, string>();
  for (const [index, [email, grants]] of Object.entries(people).entries()) {
    const isEmail = /^[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+$/.test(email);
    const at = isEmail ? `${path}[${JSON.stringify(email)}]` : pathTo(path, index);
    if (!isEmail) problems.add(at, 'is not an e-mail address');
    once(emails, email.toLowerCase(), at, problems);
    checkGrants(grants, at, problems);
  }
  return { source: 'static', people };
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

function tokenClaims({ people, ca, apiKeyFile: file, groups = {} }: Roles, { problems }: Place): RolesConfig {
  if (people !== undefined) problems.add('access.roles.people', 'is only for source: static');
  if (ca !== undefined) problems.add('access.roles.ca', 'is only for source: temporal-cloud');
  if (file !== undefined) problems.add('access.roles.apiKeyFile', 'is only for source: temporal-cloud');
  for (const [group, grants] of Object.entries(groups)) {
    checkGrants(grants, pathTo('access.roles.groups', group), problems);
  }
  return { source: 'token-claims', groups };
}

type Claims = NonNullable<ReadShape<typeof ISSUER>['claims']>;

function roleClaimsOf({ permissions, groups }: Claims): RoleClaimPaths {
  return { permissions: [permissions].flat(), ...(groups === undefined ? {} : { groups: [groups].flat() }) };
}

/** By the environment or by a file, never by both. */
async function apiKeyOf({ apiKeyFile: written }: Roles, place: Place): Promise<ApiKey | undefined> {
  const { problems } = place;
  const given = variable(place.env, 'TEMPORAL_API_KEY');
  const path = 'access.roles.apiKeyFile';
  if (written === undefined) {
    if (problems.at(path)) return undefined;
    if (given !== undefined) return usableKey(given.value, given.path, place);
    problems.add('TEMPORAL_API_KEY', `is required for source: temporal-cloud (or ${path})`);
    return undefined;
  }
  if (given !== undefined) problems.add('TEMPORAL_API_KEY', `is given twice: ${path} is set too`);
  const file = fileIn(place, written);
  const result = await readTextFile(file, { secret: true });
  if ('text' in result) return usableKey(result.text.trim(), path, place) && apiKeyFile(file);
  problems.add(path, result.sentence);
  return undefined;
}

function usableKey(key: string, path: string, { problems }: Place): ApiKey | undefined {
  try {
    return fixedApiKey(key);
  } catch {
    problems.add(path, 'does not hold one API key');
    return undefined;
  }
}

function opsAddress({ env, problems }: Place): string {
  const given = variable(env, 'TEMPORAL_OPS_ADDRESS');
  if (given !== undefined && parseAddress(given.value) === undefined)
    problems.add(given.path, 'must be host:port');
  return given?.value ?? DEFAULT_OPS_ADDRESS;
}

function opsApiVersion({ env, problems }: Place): string {
  const given = variable(env, 'TEMPORAL_OPS_API_VERSION');
  if (given !== undefined && !/^[\x21-\x7e]{1,64}$/.test(given.value)) {
    problems.add(given.path, `must be a version, such as ${DEFAULT_OPS_API_VERSION}`);
  }
  return given?.value ?? DEFAULT_OPS_API_VERSION;
}

function readRules(list: readonly unknown[], keys: readonly KeysConfig[], { problems }: Place): Rule[] {
  const served = keys.flatMap(({ namespaces }) => namespaces);
  return list.flatMap((value, index) => {
    const path = `access.rules[${index}]`;
    const { roles, may, namespaces } = readShape(RULE, value, path, problems);
    for (const [at, name] of (namespaces ?? []).entries()) {
      if (problems.at('keys') || name.includes('*') || served.some((pattern) => matches(pattern, name)))
        continue;
      problems.add(`${path}.namespaces[${at}]`, 'no entry of keys covers this namespace');
    }
    if (roles === undefined || may === undefined) return [];
    return [{ roles, may, ...(namespaces === undefined ? {} : { namespaces }) }];
  });
}

function readCredentials(list: readonly unknown[], { problems, warnings, nowMs }: Place): CredentialConfig[] {
  const seen = { names: new Map<string, string>(), hashes: new Map<string, string>() };
  return list.flatMap((value, index) => {
    const path = `access.credentials[${index}]`;
    const { name, sha256, roles, expires } = readShape(CREDENTIAL, value, path, problems);
    once(seen.names, name, `${path}.name`, problems);
    once(seen.hashes, sha256, `${path}.sha256`, problems);
    checkGrants(roles ?? [], `${path}.roles`, problems);
    if (name === undefined || sha256 === undefined || roles === undefined || expires === undefined) return [];
    const expiresAtMs = endOfDay(expires);
    if (nowMs >= expiresAtMs) warnings.push(`${path}: ${name} has expired: whoever sends it is refused`);
    return [{ name, sha256, roles, expiresAtMs }];
  });
}

function checkGrants(grants: readonly string[], path: string, problems: Problems): void {
  grants.forEach((grant, index) => {
    if (grantProblem(grant) === undefined) return;
    problems.add(
      pathTo(path, index),
      'must be account:ROLE, or ROLE@NAMESPACE with an inherited:, namespace: or custom: role',
    );
  });
}
