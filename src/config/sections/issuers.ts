// `access.issuers`: whose tokens are believed, and for which e-mails.
import { TEMPORAL_CLOUD_ISSUER } from '../../access/tokens/issuer-options.js';
import type { RoleClaimPaths } from '../../access/tokens/role-claims.js';
import type { IssuerConfig } from '../config.js';
import type { Problems } from '../reading/problems.js';
import { readShape, type ReadShape } from '../reading/read-shape.js';
import { ISSUER, PRESET_ISSUER } from '../reading/schema.js';
import { readCertificates } from './certificates.js';
import { once } from './once.js';
import { fileIn, type Place } from './place.js';

export async function readIssuers(
  list: readonly unknown[],
  source: unknown,
  place: Place,
): Promise<IssuerConfig[]> {
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

function domainsOnce(
  { domains }: Seen,
  written: readonly string[] | undefined,
  path: string,
  problems: Problems,
): void {
  for (const [at, domain] of (written ?? []).entries())
    once(domains, domain.toLowerCase(), `${path}.emailDomains[${at}]`, problems);
}

type Claims = NonNullable<ReadShape<typeof ISSUER>['claims']>;

function roleClaimsOf({ permissions, groups }: Claims): RoleClaimPaths {
  return { permissions: [permissions].flat(), ...(groups === undefined ? {} : { groups: [groups].flat() }) };
}
