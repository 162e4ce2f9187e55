// An issuer over HTTPS that signs whatever a test wants: for the tokens that no honest provider would give.
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWTHeaderParameters,
} from 'jose';
import type { Certificates } from '../../src/dev/certificates.js';
import type { Stoppable } from '../parts/spawn-part.js';
import { plantSecret } from '../streams.js';

export type Claims = Readonly<Record<string, unknown>>;

export interface TokenIssuer extends Stoppable {
  readonly port: number;
  /** The public key as PEM, which an attacker has too. */
  readonly publicPem: string;
  /** Signed by the published key unless `sign` says otherwise; an hour old at most, unless the claims say otherwise. */
  token(claims: Claims, sign?: Signing): Promise<string>;
}

export interface Signing {
  readonly header?: Partial<JWTHeaderParameters>;
  readonly key?: CryptoKey | Uint8Array;
}

const HOUR_S = 3_600;

export async function startTokenIssuer(certificates: Certificates): Promise<TokenIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'the-key', alg: 'RS256', use: 'sig' };
  const server = createServer({ cert: certificates.cert, key: certificates.key }, (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: [jwk] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    publicPem: await exportSPKI(publicKey),
    token: async (claims, { header = {}, key = privateKey } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const token = await new SignJWT({ iat: now, exp: now + HOUR_S, ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: 'the-key', typ: 'JWT', ...header })
        .sign(key);
      return planted(token);
    },
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

/** No part of a token may stand in a log, but its header says nothing. */
export function planted(token: string): string {
  for (const part of token.split('.').slice(1)) if (part.length >= 12) plantSecret(part);
  return token;
}
