// What a verifier makes of a token, and what a good one says.
import type { Authenticator, Principal } from '../../../src/access/principal.js';
import type { Clock } from '../../../src/clock.js';
import { isKeyholeError, type KeyholeError } from '../../../src/errors.js';
import { keepStream } from '../../streams.js';
import { patient } from '../principals.js';
import type { HttpsIssuer } from '../tokens/https-issuer.js';
import type { Claims } from '../tokens/signing.js';

/** Messages of refusals so far: a million tokens are refused with few. */
const told = new Set<string>();

/** Of Alice, issued now, for an hour. */
export function claimsOf({ url }: Pick<HttpsIssuer, 'url'>, clock: Clock, changed: Claims = {}): Claims {
  const iat = clock.wall() / 1000;
  const [sub, email] = ['auth0|alice', 'alice@example.com'];
  return { iss: url, aud: 'keyhole', sub, email, iat, exp: iat + 3_600, ...changed };
}

/** The principal, or the refusal, whose message is searched for secrets. */
export async function answerTo(
  token: string,
  verifier: Authenticator,
  patience = patient(),
): Promise<Principal | KeyholeError> {
  try {
    return await verifier.authenticate(`Bearer ${token}`, patience);
  } catch (error) {
    if (!isKeyholeError(error)) throw error;
    if (!told.has(error.message)) keepStream('token-refusals', `${error.message}\n`);
    told.add(error.message);
    return error;
  }
}

/** `accepted`, or the code of the refusal. */
export async function verdictOn(
  token: string,
  verifier: Authenticator,
  patience = patient(),
): Promise<string> {
  const answer = await answerTo(token, verifier, patience);
  return isKeyholeError(answer) ? answer.code : 'accepted';
}
