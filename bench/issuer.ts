// An OpenID issuer with one key set over HTTPS, for the benchmarks.
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { makeCertificates, type Certificates } from '../src/dev/certificates.js';

export interface Issuer {
  /** Its entry under `access.issuers`. */
  readonly configuration: {
    readonly issuer: string;
    readonly audience: string;
    readonly [more: string]: unknown;
  };
  /** Its own, which a server of ours may use too. */
  readonly certificates: Certificates;
  /** PEM of the CA that signed it. */
  readonly ca: string;
  token(email: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startIssuer(): Promise<Issuer> {
  const certificates = await makeCertificates();
  const { ca, cert, key } = certificates;
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keys = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig', kid: 'bench' }],
  });
  const server = createServer({ cert, key }, (_, response) => {
    response.setHeader('Content-Type', 'application/json').end(keys);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const audience = 'keyhole';
  return {
    configuration: {
      issuer,
      audience,
      jwks: `${issuer}/jwks`,
      ca: './ca.pem',
      claims: { email: 'email' },
      emailDomains: ['example.com'],
    },
    certificates,
    ca,
    token: (email) =>
      new SignJWT({ email })
        .setProtectedHeader({ alg: 'ES256', kid: 'bench', typ: 'at+jwt' })
        .setSubject('bench')
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
