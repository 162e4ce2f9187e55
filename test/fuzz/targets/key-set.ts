// Hostile key sets and discovery documents: keys of other people verify nothing, and no answer is a fault of ours.
import { TokenVerifier } from '../../../src/access/tokens/token-verifier.js';
import { isKeyholeError } from '../../../src/errors.js';
import { patient } from '../../access/principals.js';
import { sign, signingKey } from '../../access/tokens/signing.js';
import { FakeClock } from '../../fake-clock.js';
import { anyValue, pick } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

const ISSUER = 'https://idp.example/';
const JWKS = `${ISSUER}jwks`;
const MEMBERS = ['kty', 'crv', 'x', 'y', 'alg', 'use', 'kid', 'key_ops', 'n', 'e', 'd', 'k', 'x5c', 'x5u'];

export const keySet: FuzzTarget = {
  name: 'key-set',
  full: 50_000,
  inCi: 2_500,
  open: async () => {
    const clock = new FakeClock();
    const [ours, others] = await Promise.all([signingKey('ES256', 'first'), signingKey('ES256', 'first')]);
    const iat = clock.wall() / 1000;
    const claims = { iss: ISSUER, aud: 'keyhole', sub: 'alice', iat, exp: iat + 3_600 };
    const forged = `Bearer ${await sign(others, claims)}`;
    const good = `Bearer ${await sign(ours, claims)}`;
    const likely = [
      ours.jwk,
      { keys: [ours.jwk] },
      [ours.jwk],
      JWKS,
      ISSUER,
      'sig',
      ['verify'],
      'AQAB',
      ...MEMBERS,
    ];
    return {
      try: async (random) => {
        const changed = { ...ours.jwk, [pick(random, MEMBERS)]: anyValue(random, likely) };
        const keys = pick(random, [
          [changed],
          [ours.jwk, changed],
          [changed, ours.jwk],
          [anyValue(random, likely)],
        ]);
        const answer = pick(random, [{ keys }, { keys }, { keys }, anyValue(random, likely)]);
        const document = pick(random, [{ issuer: ISSUER, jwks_uri: JWKS }, anyValue(random, likely)]);
        const discovers = random(4) === 0;
        const verifier = new TokenVerifier({
          issuers: [{ issuer: ISSUER, audience: ['keyhole'], ...(discovers ? {} : { jwks: JWKS }) }],
          clock,
          fetchJson: ({ href }) => Promise.resolve(href === JWKS ? answer : document),
        });
        if (await letsIn(verifier, forged)) throw new Error('a key of somebody else verified a token');
        await letsIn(verifier, good);
      },
      close: () => Promise.resolve(),
    };
  },
};

async function letsIn(verifier: TokenVerifier, token: string): Promise<boolean> {
  try {
    await verifier.authenticate(token, patient());
    return true;
  } catch (error) {
    if (isKeyholeError(error) && ['token_invalid', 'jwks_unavailable'].includes(error.code)) return false;
    throw error;
  }
}
