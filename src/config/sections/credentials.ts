// `access.credentials`: programs that are known by a secret of their own.
import type { CredentialConfig } from '../config.js';
import { endOfDay } from '../reading/day.js';
import { readShape } from '../reading/read-shape.js';
import { CREDENTIAL } from '../reading/schema.js';
import { checkGrants } from './grants.js';
import { once } from './once.js';
import type { Place } from './place.js';

export function readCredentials(
  list: readonly unknown[],
  { problems, warnings, nowMs }: Place,
): CredentialConfig[] {
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
