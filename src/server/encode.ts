// An encode request, from the decision to the reply.
import type { Payload } from '@temporalio/common';
import { readMark } from '../codec/marks.js';
import { KeyholeError } from '../errors.js';
import type { CallerRequest, Reply } from './caller-request.js';
import { eachOf } from './each-of.js';
import { isNotice } from './notice.js';

/**
 * Seals each payload for the requested namespace; what is sealed for it already is left alone. One that cannot be
 * sealed fails the whole request: nothing is sent back in the clear.
 *
 * @throws KeyholeError
 */
export async function encode(request: CallerRequest): Promise<Reply> {
  const { namespace, cipher, findings } = request;
  const decision = await request.decide('encode', namespace);
  if (!decision.allowed) throw new KeyholeError(decision.code, decision.message);
  findings.decision = decision;
  const payloads = await request.payloads();
  const still = await request.stillDecided(decision);
  if (!still.allowed) throw new KeyholeError(still.code, still.message);
  findings.decision = still;
  if (payloads.some(isNotice)) {
    throw new KeyholeError(
      'payload_invalid',
      'a value is a notice of this server, not what was hidden behind it',
    );
  }
  const { onAsking, wait } = request.keyWait();
  const sealed = await eachOf(payloads, wait, (payload) =>
    cipher.isOwn(payload, namespace) ? payload : cipher.seal(payload, namespace, onAsking),
  );
  noteSealed(
    request,
    sealed.filter((payload, index) => payload !== payloads[index]),
  );
  findings.passed = sealed.length - findings.sealed;
  return { outcome: 'ok', payloads: sealed };
}

function noteSealed({ findings, cipher, namespace }: CallerRequest, sealed: readonly Payload[]): void {
  findings.sealed = sealed.length;
  findings.ciphertexts(sealed);
  const [first] = sealed; // one namespace has one wrapping key that seals
  if (first === undefined) return;
  const mark = readMark(first);
  if (mark.kind === 'sealed') findings.usedKey(cipher.keyName(mark, first, namespace));
}
