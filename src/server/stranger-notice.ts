// What a browser gets that nobody is signed in on, where refusals are shown in place of payloads.
import type { Action } from '../access/policy.js';
import { isKeyholeError, type KeyholeError } from '../errors.js';
import { shareOfStrangers } from './admission/share.js';
import type { WrittenReply } from './caller-request.js';
import { withNotices } from './decode.js';
import { CallerGone, readBody } from './http/request-body.js';
import { writePayloads } from './json/payload-json-writer.js';
import { readPayloads } from './json/payload-json.js';
import { MAX_STRANGER_BODY_BYTES, MAX_STRANGER_PAYLOADS } from './limits.js';
import type { TurnInPlace } from './turn.js';

/**
 * A notice that says to sign in, to a page of an allowed origin whose token is missing or has expired; every other
 * refusal stays what it is, and so does one of a body that is larger than a stranger may send.
 *
 * @throws KeyholeError the refusal; `CallerGone`.
 */
export async function strangerNotice(
  turn: TurnInPlace,
  action: Action,
  refusal: unknown,
): Promise<WrittenReply> {
  const { origin, headers, setup } = turn;
  const shown = setup.parts.options.denied === 'notice' && action === 'decode' && origin === 'allowed';
  if (!shown || !needsSignIn(refusal)) throw refusal;
  try {
    const share = shareOfStrangers(refusal, setup.parts.options.limits);
    const body = await readBody(turn, share, MAX_STRANGER_BODY_BYTES);
    const where = setup.parts.signIn?.address('/signin') ?? headers.origin ?? '';
    const why = refusal.code === 'token_missing' ? 'you are not signed in' : 'your sign-in has expired';
    turn.exchange.reason = why;
    const notices = withNotices(readPayloads(body, MAX_STRANGER_PAYLOADS), `${why}: sign in at ${where}`);
    return { outcome: refusal.code, body: writePayloads(notices) };
  } catch (error) {
    if (error instanceof CallerGone) throw error;
    throw refusal;
  }
}

function needsSignIn(error: unknown): error is KeyholeError {
  return isKeyholeError(error) && (error.code === 'token_missing' || error.code === 'token_expired');
}
