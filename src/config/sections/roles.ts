// `access.roles`: where the roles of people come from.
import { apiKeyFile, fixedApiKey, type ApiKey } from '../../access/roles/api-key.js';
import type { RolesConfig } from '../config.js';
import { variable } from '../environment.js';
import { parseAddress } from '../reading/address.js';
import { pathTo } from '../reading/problems.js';
import { readShape, type ReadShape } from '../reading/read-shape.js';
import { ROLES } from '../reading/schema.js';
import { readTextFile } from '../reading/text-file.js';
import { readCertificates } from './certificates.js';
import { checkGrants } from './grants.js';
import { once } from './once.js';
import { fileIn, type Place } from './place.js';

const DEFAULT_OPS_ADDRESS = 'saas-api.tmprl.cloud:443';
const DEFAULT_OPS_API_VERSION = '2024-05-13-00';

const SETTINGS_OF_ONE_SOURCE = [
  ['people', 'static'],
  ['groups', 'token-claims'],
  ['ca', 'temporal-cloud'],
  ['apiKeyFile', 'temporal-cloud'],
] as const;

type Roles = ReadShape<typeof ROLES>;

export async function readRoles(value: unknown, place: Place): Promise<RolesConfig | undefined> {
  const { problems } = place;
  const written = readShape(ROLES, value, 'access.roles', problems);
  const { source, freshSeconds, staleSeconds } = written;
  if (freshSeconds !== undefined && staleSeconds !== undefined && staleSeconds < freshSeconds) {
    problems.add('access.roles.staleSeconds', 'must not be less than freshSeconds');
  }
  for (const [setting, of] of SETTINGS_OF_ONE_SOURCE) {
    if (written[setting] === undefined || source === undefined || source === of) continue;
    problems.add(`access.roles.${setting}`, `is only for source: ${of}`);
  }
  if (source === 'static') return staticRoles(written, place);
  if (source === 'token-claims') return tokenClaims(written, place);
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

function staticRoles({ people }: Roles, { problems }: Place): RolesConfig | undefined {
  const path = 'access.roles.people';
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

function tokenClaims({ groups = {} }: Roles, { problems }: Place): RolesConfig {
  for (const [group, grants] of Object.entries(groups)) {
    checkGrants(grants, pathTo('access.roles.groups', group), problems);
  }
  return { source: 'token-claims', groups };
}

async function caOf({ ca }: Roles, place: Place): Promise<string | undefined> {
  return ca === undefined ? undefined : readCertificates(fileIn(place, ca), 'access.roles.ca', place);
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
  if ('text' in result)
    return usableKey(result.text.trim(), path, place, `the file ${file} `) && apiKeyFile(file);
  problems.add(path, result.sentence);
  return undefined;
}

function usableKey(key: string, path: string, { problems }: Place, subject = ''): ApiKey | undefined {
  try {
    return fixedApiKey(key);
  } catch {
    problems.add(path, `${subject}does not hold one API key`);
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
