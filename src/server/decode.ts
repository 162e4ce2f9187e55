// A decode request, from the decision to the reply.
import type { Payload } from '@temporalio/common';
import type { Decision } from '../access/policy.js';
import { readMark } from '../codec/marks.js';
import { KeyholeError } from '../errors.js';
import { isPassingRefusal, type CallerRequest, type Reply } from './caller-request.js';
import { noticePayload } from './notice.js';
import { failureCode, openPayloads, type Opened } from './opening.js';

/**
 * In this order: somebody who may not decode here is refused; what will pass later fails the whole request; nothing
 * sealed in it, or something opened, is a success with the rest unchanged; then roles that nobody can tell now; if the
 * policy kept every sealed payload closed, that is a refusal; else nothing could be opened.
 *
 * @throws KeyholeError
 */
export async function decode(request: CallerRequest): Promise<Reply> {
  const { findings } = request;
  const decision = await request.decide('decode', request.namespace);
  if (!decision.allowed) return denied(request, refusalOf(decision));
  findings.decision = decision;
  const payloads = await request.payloads();
  const still = await request.stillDecided(decision);
  if (!still.allowed) {
    findings.refused = countClosed(payloads);
    return denied(request, refusalOf(still), payloads);
  }
  findings.decision = still;
  const results = await openPayloads(request, payloads);
  count(request, results);
  if (findings.opened > 0 || findings.failed + findings.refused === 0) {
    return { outcome: 'ok', payloads: payloads.map((payload, index) => openedOr(results[index], payload)) };
  }
  const untold = results.find((result) => result.kind === 'failed' && isPassingRefusal(result.error));
  if (untold?.kind === 'failed') throw untold.error;
  const [refused] = results.filter((result) => result.kind === 'refused');
  if (refused !== undefined && findings.failed === 0) return denied(request, refused.error, payloads);
  throw nothingOpened(results);
}

/** What somebody known but not allowed gets. */
async function denied(
  request: CallerRequest,
  error: KeyholeError,
  read?: readonly Payload[],
): Promise<Reply> {
  if (request.denied === 'error' || (request.denied === 'notice' && !(await mayGetNotice(request))))
    throw error;
  const payloads = read ?? (await request.refusedPayloads(error));
  if (read === undefined) request.findings.refused = countClosed(payloads);
  if (request.denied === 'encrypted') return { outcome: error.code, payloads };
  return { outcome: error.code, payloads: withNotices(payloads, error.message) };
}

/** The UI fills forms from decoded payloads: nobody who may encode here gets a sentence in their place. */
async function mayGetNotice(request: CallerRequest): Promise<boolean> {
  if (!request.browser) return false;
  const encoding: Decision = await request.decide('encode', request.namespace);
  return !encoding.allowed;
}

/** The payloads with a sentence in the place of each that is sealed, or claims to be. */
export function withNotices(payloads: readonly Payload[], sentence: string): Payload[] {
  const notice = noticePayload(sentence);
  return payloads.map((payload) => (isClosed(payload) ? notice : payload));
}

function refusalOf({ code, message }: Extract<Decision, { allowed: false }>): KeyholeError {
  return new KeyholeError(code, message);
}

function countClosed(payloads: readonly Payload[]): number {
  return payloads.filter(isClosed).length;
}

function isClosed(payload: Payload): boolean {
  try {
    return readMark(payload).kind === 'sealed';
  } catch {
    return true;
  }
}

function openedOr(result: Opened | undefined, payload: Payload): Payload {
  return result?.kind === 'opened' || result?.kind === 'passed' ? result.payload : payload;
}

function count({ findings }: CallerRequest, results: readonly Opened[]): void {
  for (const { kind } of results) findings[kind] += 1;
}

function nothingOpened(results: readonly Opened[]): KeyholeError {
  const errors = results.flatMap((result) => (result.kind === 'failed' ? [result.error] : []));
  const code = failureCode(errors.map((error) => error.code));
  const [first] = errors;
  if (first?.code === code) return first;
  return new KeyholeError('not_opened', 'no sealed payload of the request could be opened');
}
