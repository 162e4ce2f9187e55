// A configuration that believes an issuer of our own instead of Temporal Cloud's, and that issuer's tokens.
import type { TokenIssuer } from './token-issuer.js';
import type { Ground } from './system.js';

const AUDIENCE = 'keyhole';

export function accessBy(port: number, { caFile }: Ground): object {
  const issuer = `https://localhost:${port}`;
  const trusted = {
    issuer,
    audience: AUDIENCE,
    jwks: `${issuer}/jwks`,
    ca: caFile,
    emailDomains: ['example.com'],
  };
  return { account: 'a1b2c', issuers: [trusted], roles: { ca: caFile } };
}

export function tokenFor(issuer: TokenIssuer, person: string): Promise<string> {
  const iss = `https://localhost:${issuer.port}`;
  return issuer.token({ iss, aud: AUDIENCE, sub: person, email: `${person}@example.com` });
}
