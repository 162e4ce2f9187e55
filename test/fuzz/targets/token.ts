// Text in place of a token: nobody is let in but by the token itself.
import { TokenVerifier } from '../../../src/access/tokens/token-verifier.js';
import { isKeyholeError } from '../../../src/errors.js';
import { patient } from '../../access/principals.js';
import { forge, hmac, sign, signingKey } from '../../access/tokens/signing.js';
import { FakeClock } from '../../fake-clock.js';
import { mutated, pick } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

const ISSUER = 'https://idp.example/';
const CODES = ['token_missing', 'token_invalid', 'token_expired', 'subject_refused'];

export const token: FuzzTarget = {
  name: 'token',
  full: 1_000_000,
  inCi: 20_000,
  open: async () => {
    const clock = new FakeClock();
    const key = await signingKey('ES256', 'first');
    const trusted = { issuer: ISSUER, jwks: `${ISSUER}jwks`, audience: ['keyhole'] };
    const fetchJson = (): Promise<unknown> => Promise.resolve({ keys: [key.jwk] });
    const verifier = new TokenVerifier({ issuers: [trusted], clock, fetchJson });
    const iat = clock.wall() / 1000;
    const claims = { iss: ISSUER, aud: 'keyhole', sub: 'alice', iat, exp: iat + 3_600 };
    const good = [
      await sign(key, claims),
      await sign(key, { ...claims, sub: 'bob', extra: 'x'.repeat(500) }),
    ];
    const bad = [
      await sign(key, { ...claims, exp: iat - 60 }),
      await sign(key, { ...claims, nbf: iat + 600 }),
      forge({ alg: 'none' }, claims, () => new Uint8Array(0)),
      forge({ alg: 'HS256', kid: 'first' }, claims, hmac(JSON.stringify(key.jwk))),
      forge({ alg: 'ES256', kid: 'first', crit: ['x'], x: 1 }, claims, hmac('x')),
    ];
    const texts = [...good, ...bad].map((text) => Buffer.from(`Bearer ${text}`));
    return {
      try: async (random) => {
        const header = mutated(pick(random, texts), random, texts).toString('latin1');
        try {
          await verifier.authenticate(header, patient());
        } catch (error) {
          if (isKeyholeError(error) && CODES.includes(error.code)) return;
          throw error;
        }
        if (!good.some((text) => isOf(text, header)))
          throw new Error('a text that is no token let somebody in');
      },
      close: () => Promise.resolve(),
    };
  },
};

/** The scheme has no case, and blanks around the token are none of it (RFC 9110 §11.1, §5.5). */
function isOf(text: string, header: string): boolean {
  const [, given] = /^bearer +(\S+) *$/i.exec(header) ?? [];
  return given === text;
}
