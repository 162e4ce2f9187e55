// An OpenID issuer with one key set over HTTPS, for the benchmarks.
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { makeCertificates } from '../src/dev/certificates.js';

export interface Issuer {
  readonly issuer: string;
  readonly jwks: string;
  /** PEM of the CA that signed its certificate. */
  readonly ca: string;
  token(email: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startIssuer(): Promise<Issuer> {
  const { ca, cert, key } = await makeCertificates();
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
  return {
    issuer,
    jwks: `${issuer}/jwks`,
    ca,
    token: (email) =>
      new SignJWT({ email })
        .setProtectedHeader({ alg: 'ES256', kid: 'bench', typ: 'at+jwt' })
        .setSubject('bench')
        .setIssuer(issuer)
        .setAudience('keyhole')
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
