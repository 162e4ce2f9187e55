// strength.md §2: the Operations API or an issuer's key set is refused, reset, stalled, slow, cut, or has no address.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Policy } from '../../src/access/policy.js';
import { fixedApiKey } from '../../src/access/roles/api-key.js';
import { TemporalCloudRoles } from '../../src/access/roles/temporal-cloud.js';
import { TokenVerifier } from '../../src/access/tokens/token-verifier.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { HttpsIssuer } from '../access/tokens/https-issuer.js';
import { sign, signingKey, type SigningKey } from '../access/tokens/signing.js';
import { FakeClock } from '../fake-clock.js';
import { startCloudOperations, type CloudOperationsStandIn } from '../parts/cloud-operations.js';
import { ORDERS, plainPayload } from '../server/running-server.js';
import { plantSecret } from '../streams.js';
import { FAULTS, FaultProxy } from './fault-proxy.js';
import { NO_ADDRESS, Served, type Question } from './served.js';

const MINUTE_MS = 60_000;

let certificates: Certificates;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  certificates = await makeCertificates();
});
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

async function proxyTo(port: string): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(Number(port));
  ends.push(() => proxy.stop());
  return proxy;
}

/** Sealed by the server's own key, which is always there. */
async function sealedQuestion({ running }: Served, what: string): Promise<Question> {
  const text = plantSecret(`what an outage of ${what} must not reveal`);
  const payload = await running.cipher.seal(plainPayload(text), ORDERS);
  return { namespace: ORDERS, payload, text };
}

describe.concurrent('the Operations API, over a network that fails by', () => {
  const API_KEY = plantSecret('api-key-of-the-outages-4b7d9e2f1c');
  let cloud: CloudOperationsStandIn;
  beforeAll(async () => {
    const users = [{ email: 'admin@example.com', account: 'admin' }];
    cloud = await startCloudOperations({ certificates, users, apiKey: API_KEY });
    ends.push(() => cloud.stop());
  });

  async function served(address: string): Promise<Served> {
    const options = { address, apiVersion: 'v0.3.0', apiKey: fixedApiKey(API_KEY), ca: certificates.ca };
    const source = new TemporalCloudRoles(options);
    const authorizer = new Policy({ rules: [{ roles: ['account:admin'], may: ['decode'] }], source });
    const server = await Served.start({ parts: { authorizer } });
    ends.push(async () => {
      await server.stop();
      source.close();
    });
    return server;
  }

  test.each(FAULTS)(
    '%s: 503, no key asked for, back within 5 s; then what is known goes on',
    async (fault) => {
      const proxy = await proxyTo(cloud.address.split(':')[1] ?? '');
      const server = await served(`localhost:${proxy.port}`);
      const question = await sealedQuestion(server, `the Operations API (${fault})`);
      await proxy.break(fault);
      server.running.key.calls.length = 0;
      await server.expectUnavailable('authz_unavailable', question, true);
      expect(server.running.key.calls).toEqual([]);
      await proxy.repair();
      await server.expectRecovery(question);
      await proxy.break(fault);
      await server.expectPlaintext(question);
      expect(server.running.audit.events.at(-1)?.why).toMatchObject({ source: 'temporal-cloud' });
    },
  );

  test('no address (DNS): 503', async () => {
    const server = await served(`${NO_ADDRESS}:443`);
    const question = await sealedQuestion(server, 'the address of the Operations API');
    await server.expectUnavailable('authz_unavailable', question, true);
  });
});

describe.concurrent('the key set of an issuer (JWKS), over a network that fails by', () => {
  let key: SigningKey;
  let issuer: HttpsIssuer;
  beforeAll(async () => {
    key = await signingKey('ES256', 'first');
    issuer = await HttpsIssuer.start(certificates);
    issuer.publish(key.jwk);
    ends.push(() => issuer.stop());
  });

  /** The token is good for a day, by a clock that only the test moves. */
  async function served(address: string): Promise<{ server: Served; clock: FakeClock; question: Question }> {
    const clock = new FakeClock();
    const trusted = {
      issuer: issuer.url,
      jwks: `https://${address}/jwks`,
      audience: ['keyhole'],
      ca: certificates.ca,
      emailClaim: 'email',
      emailDomains: ['example.com'],
    };
    const authenticator = new TokenVerifier({ issuers: [trusted], clock });
    const server = await Served.start({ parts: { authenticator } });
    ends.push(() => server.stop());
    const iat = clock.wall() / 1000;
    const claims = { iss: issuer.url, aud: 'keyhole', sub: 'admin', email: 'admin@example.com', iat };
    const token = await sign(key, { ...claims, exp: iat + 86_400 });
    const headers = { authorization: `Bearer ${token}` };
    return { server, clock, question: { ...(await sealedQuestion(server, address)), headers } };
  }

  const ready = async ({ running }: Served): Promise<number> =>
    (await running.ask('/health/ready', { method: 'GET' })).status;

  test.each(FAULTS)(
    '%s, from the start: not ready, 503 and never 401, back after 30 s; later: good for an hour, then 503',
    async (fault) => {
      const proxy = await proxyTo(new URL(issuer.url).port);
      await proxy.break(fault);
      const { server, clock, question } = await served(`localhost:${proxy.port}`);
      expect(await ready(server)).toBe(503);
      await server.expectUnavailable('jwks_unavailable', question, false);
      await proxy.repair();
      clock.pass(30_000);
      await server.expectRecovery(question);
      expect(await ready(server)).toBe(200);
      await proxy.break(fault);
      clock.pass(59 * MINUTE_MS);
      await server.expectPlaintext(question);
      clock.pass(2 * MINUTE_MS);
      await server.expectUnavailable('jwks_unavailable', question, false);
      expect(await ready(server)).toBe(503);
      await proxy.repair();
      clock.pass(30_000);
      await server.expectRecovery(question);
    },
  );

  test('no address (DNS): not ready, 503 and never 401', async () => {
    const { server, question } = await served(NO_ADDRESS);
    expect(await ready(server)).toBe(503);
    await server.expectUnavailable('jwks_unavailable', question, false);
  });
});
