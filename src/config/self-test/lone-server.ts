// A codec server whose keys, issuer, roles and record exist for it alone.
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { pino } from 'pino';
import type { Payload } from '@temporalio/common';
import { StreamAuditLog } from '../../access/audit/stream-audit-log.js';
import { Policy } from '../../access/policy.js';
import { StaticRoles } from '../../access/roles/static.js';
import { TokenVerifier } from '../../access/tokens/token-verifier.js';
import { systemClock } from '../../clock.js';
import { PayloadCipher } from '../../codec/payload-cipher.js';
import { DataKeys } from '../../keys/data-keys.js';
import { KeyCalls } from '../../keys/key-calls.js';
import { Keyring } from '../../keys/keyring.js';
import { LocalWrappingKey } from '../../keys/providers/local.js';
import type { Observer } from '../../observer.js';
import { createCodecServer } from '../../server/app.js';
import { DEFAULT_LIMITS } from '../../server/limits.js';
import { createMetrics } from '../../server/telemetry/metrics.js';

const NAMESPACE = 'self-test';
const ISSUER = 'https://issuer.keyhole.invalid';
const ORIGIN = 'https://ui.keyhole.invalid';

/** The one person who may decode. */
export const READER = 'reader@keyhole.invalid';

export interface LoneServer {
  readonly url: string;
  /** Of a request from a page that may call, about the one namespace there is. */
  readonly headers: Readonly<Record<string, string>>;
  /** An access token of the one issuer. */
  tokenOf(email: string): Promise<string>;
  seal(payload: Payload): Promise<Payload>;
  close(): Promise<void>;
}

/** On a free port of the loopback address, without TLS. @throws Error of the system where there is none. */
export async function startLoneServer(): Promise<LoneServer> {
  const { authenticator, tokenOf } = await issuer();
  const metrics = createMetrics();
  const cipher = cipherOf(metrics.observer());
  const audit = new StreamAuditLog(nowhere(), { writer: { version: 'self-test', configuration: undefined } });
  const server = createCodecServer({
    authenticator,
    authorizer: new Policy({
      rules: [{ roles: ['namespace:read'], may: ['decode'] }],
      source: new StaticRoles({ people: { [READER]: [`namespace:read@${NAMESPACE}`] } }),
    }),
    audit,
    cipher,
    options: {
      listen: { host: '127.0.0.1', port: 0 },
      cors: { origins: [ORIGIN], credentials: false },
      publicUrl: 'https://keyhole.invalid',
      denied: 'error',
      limits: DEFAULT_LIMITS,
    },
    logger: pino({}, nowhere()),
    metrics,
  });
  const close = async (): Promise<void> => {
    await server.close();
    await audit.close();
    await metrics.close();
  };
  try {
    const { url } = await server.listen();
    const headers = { Origin: ORIGIN, 'X-Namespace': NAMESPACE, 'Content-Type': 'application/json' };
    return { url, headers, tokenOf, seal: async (payload) => cipher.seal(payload, NAMESPACE), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Its key set is at hand: nobody is asked for it. */
async function issuer(): Promise<Pick<LoneServer, 'tokenOf'> & { readonly authenticator: TokenVerifier }> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const header = { alg: 'ES256', kid: 'self-test' };
  const keys = [{ ...(await exportJWK(publicKey)), ...header, use: 'sig' }];
  const audience = 'keyhole';
  const nowMs = Math.floor(Date.now() / 1000) * 1000; // whatever becomes of the clock meanwhile
  const tokenOf = (email: string): Promise<string> =>
    new SignJWT({ email })
      .setProtectedHeader(header)
      .setSubject(email)
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setIssuedAt(nowMs / 1000)
      .setExpirationTime(nowMs / 1000 + 300)
      .sign(privateKey);
  const authenticator = new TokenVerifier({
    issuers: [{ issuer: ISSUER, audience: [audience], jwks: `${ISSUER}/keys`, emailClaim: 'email' }],
    fetchJson: () => Promise.resolve({ keys }),
    clock: { ...systemClock, wall: () => nowMs },
  });
  return { authenticator, tokenOf };
}

function cipherOf(observer: Observer): PayloadCipher {
  const wrappingKey = new LocalWrappingKey([{ id: 'self-test', secret: randomBytes(32) }]);
  const keyring = new Keyring([{ namespaces: [NAMESPACE], wrap: () => wrappingKey, sharesKey: false }]);
  const calls = new KeyCalls({ observer });
  return new PayloadCipher({ keyring, dataKeys: new DataKeys({ keyring, calls, observer }), observer });
}

function nowhere(): Writable {
  return new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
}
