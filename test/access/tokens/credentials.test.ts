// Secrets of programs: who presents one, and what it allows.
import { hash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { Policy } from '../../../src/access/policy.js';
import type { Authenticator, Principal } from '../../../src/access/principal.js';
import { CredentialRoles } from '../../../src/access/roles/credential-roles.js';
import { StaticRoles } from '../../../src/access/roles/static.js';
import {
  createSecret,
  CredentialAuthenticator,
  type Credential,
} from '../../../src/access/tokens/credentials.js';
import { FakeClock } from '../../fake-clock.js';
import { plantSecret } from '../../streams.js';
import { patient, principal } from '../principals.js';

const ORDERS = 'orders.a1b2c';
const { secret, sha256 } = createSecret();
plantSecret(secret);
let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

const somebody: Authenticator = {
  authenticate: () => Promise.resolve(principal('alice@example.com')),
  ready: () => true,
};

function authenticator(credentials: readonly Credential[]): CredentialAuthenticator {
  return new CredentialAuthenticator({ credentials, others: somebody, clock });
}

function ci(over: Partial<Credential> = {}): Credential {
  return { name: 'ci', sha256, expiresAtMs: clock.wall() + 1_000, ...over };
}

describe('a secret', () => {
  test('is 256 random bits in base64url after kh_, and never the same twice', () => {
    expect(secret).toMatch(/^kh_[A-Za-z0-9_-]{43}$/);
    expect(Buffer.from(secret.slice(3), 'base64url')).toHaveLength(32);
    expect(sha256).toBe(hash('sha256', secret));
    expect(new Set(Array.from({ length: 100 }, () => createSecret().secret)).size).toBe(100);
  });

  test('says who is calling by the name of its credential', async () => {
    const others = Array.from({ length: 3 }, (_, index) =>
      ci({ name: `other-${index}`, sha256: createSecret().sha256 }),
    );
    const caller = await authenticator([...others, ci()]).authenticate(`Bearer ${secret}`, patient());
    expect(caller).toEqual<Principal>({
      subject: 'ci',
      issuer: 'keyhole',
      email: undefined,
      method: 'credential',
      expiresAtMs: clock.wall() + 1_000,
    });
  });

  test('ends with its day', async () => {
    const known = authenticator([ci()]);
    clock.pass(1_000);
    await expect(known.authenticate(`Bearer ${secret}`, patient())).rejects.toMatchObject({
      code: 'token_expired',
      message: 'the credential ci has expired',
    });
  });

  test.each([
    ['changed in its last letter', secret.slice(0, -1) + (secret.endsWith('A') ? 'B' : 'A')],
    ['cut short', secret.slice(0, -1)],
    ['with something behind it', `${secret}A`],
    ['of nothing but its prefix', 'kh_'],
    ['that is the hash', `kh_${sha256}`],
    ['of another', createSecret().secret],
  ])('%s is not known, and is not quoted', async (_what, presented) => {
    const refused = authenticator([ci()]).authenticate(`Bearer ${presented}`, patient());
    await expect(refused).rejects.toMatchObject({
      code: 'token_invalid',
      message: 'the credential is not known here',
    });
  });

  test('is not a token: whatever does not begin with kh_ is for others to judge', async () => {
    const known = authenticator([ci()]);
    for (const authorization of [undefined, 'Bearer ey.ey.x', `Basic ${secret}`, `Bearer x${secret}`]) {
      expect((await known.authenticate(authorization, patient())).method).toBe('bearer');
    }
  });

  test('has one name, and a name one secret', () => {
    expect(() => authenticator([ci(), ci({ sha256: createSecret().sha256 })])).toThrow(TypeError);
    expect(() => authenticator([ci(), ci({ name: 'other' })])).toThrow(TypeError);
    expect(() => authenticator([ci({ sha256: 'f' })])).toThrow(TypeError);
  });
});

describe('a program', () => {
  const policy = new Policy({
    rules: [{ roles: ['namespace:admin'], may: ['decode'] }],
    source: new CredentialRoles({
      grants: { ci: [`namespace:admin@${ORDERS}`] },
      others: new StaticRoles({ people: { 'alice@example.com': ['namespace:admin@billing.a1b2c'] } }),
    }),
  });
  const program = (over: Partial<Principal> = {}): Principal => ({
    ...principal(undefined),
    subject: 'ci',
    issuer: 'keyhole',
    method: 'credential',
    ...over,
  });

  test('may do what its own roles allow, on their namespaces only', async () => {
    expect(await policy.decide(program(), 'decode', ORDERS, patient())).toEqual({
      allowed: true,
      rule: 0,
      role: 'namespace:admin',
      source: 'credentials',
      ageMs: 0,
    });
    expect((await policy.decide(program(), 'decode', 'billing.a1b2c', patient())).allowed).toBe(false);
    expect((await policy.decide(program(), 'encode', ORDERS, patient())).allowed).toBe(false);
  });

  test('of another name has none of its roles', async () => {
    expect((await policy.decide(program({ subject: 'other' }), 'decode', ORDERS, patient())).allowed).toBe(
      false,
    );
  });

  test('is nobody with a token whose subject is called so, and the other way round', async () => {
    const person = program({ method: 'bearer', issuer: 'https://idp.example/', email: 'alice@example.com' });
    expect((await policy.decide(person, 'decode', ORDERS, patient())).allowed).toBe(false);
    expect((await policy.decide(person, 'decode', 'billing.a1b2c', patient())).allowed).toBe(true);
  });
});
