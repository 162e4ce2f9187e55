// A request of a caller who is known: carried out or refused, and on record before the answer.
import type { Payload } from '@temporalio/common';
import type { Action, Decision } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { isKeyholeError, type KeyholeError } from '../errors.js';
import type { CallerDeadline } from './admission/caller-deadline.js';
import { shareOf, shareOfRefused, type Share } from './admission/share.js';
import { isPassingRefusal, type CallerRequest, type Reply, type WrittenReply } from './caller-request.js';
import { assertStillThem } from './caller.js';
import { decided, keyWait, takeTurn, type Asking } from './caller-waits.js';
import { decode } from './decode.js';
import { download } from './download.js';
import { encode } from './encode.js';
import { errorResponse } from './error-response.js';
import { Findings } from './findings.js';
import { CallerGone, readBody } from './http/request-body.js';
import { writePayloads } from './json/payload-json-writer.js';
import { readPayloads } from './json/payload-json.js';
import { OTHERS_DEADLINE_MS } from './limits.js';
import { putOnRecord, type Outcome } from './request-record.js';
import { during } from './telemetry/tracing.js';
import type { TurnInPlace } from './turn.js';

/** What is about to be answered. */
interface Answer extends Outcome {
  readonly reply: WrittenReply | undefined;
  readonly error: unknown;
}

/**
 * Resolves to the reply once its record is durable.
 *
 * @throws KeyholeError what the caller is refused with, on record too; `audit_unavailable` where there is no record.
 */
export async function serveKnownCaller(
  turn: TurnInPlace,
  principal: Principal,
  action: Action,
  namespace: string,
  deadline: CallerDeadline,
): Promise<WrittenReply> {
  turn.onRecord();
  const findings = new Findings();
  const request = callerRequest(turn, { principal, action, namespace, deadline, findings });
  const answer = await tried(async () => {
    await takeTurn(turn, principal);
    return carryOut(request);
  });
  await putOnRecord(turn, request, answer);
  if (answer.reply !== undefined) return answer.reply;
  throw answer.error;
}

async function tried(work: () => Promise<Reply>): Promise<Answer> {
  try {
    const { outcome, payloads } = await work();
    return { status: 200, outcome, reply: { outcome, body: writePayloads(payloads) }, error: undefined };
  } catch (error) {
    if (error instanceof CallerGone) return { status: 0, outcome: 'caller_gone', reply: undefined, error };
    const { status, code } = errorResponse(error);
    return { status, outcome: code, reply: undefined, error };
  }
}

function carryOut(request: CallerRequest): Promise<Reply> {
  switch (request.action) {
    case 'decode':
      return decode(request);
    case 'encode':
      return encode(request);
    case 'download':
      return download(request);
  }
}

interface Asked extends Pick<CallerRequest, 'principal' | 'action' | 'namespace' | 'findings'> {
  readonly deadline: CallerDeadline;
}

function callerRequest(
  turn: TurnInPlace,
  { principal, action, namespace, deadline, findings }: Asked,
): CallerRequest {
  const { cipher, options, metrics, tracing } = turn.setup.parts;
  const asked = <T>(wanted: readonly string[], ask: Asking<T>, mostMs?: number): Promise<T> =>
    during(tracing, 'look up roles', () => decided(turn, { principal, deadline, wanted, mostMs }, ask));
  const request: CallerRequest = {
    principal,
    action,
    namespace,
    findings,
    assertKeyCallsLeft: () => {
      turn.budgets.assertKeyCallsLeft(principal, options.limits);
    },
    browser: turn.origin === 'allowed',
    denied: options.denied,
    cipher,
    keyWait: () => keyWait(turn, principal, deadline),
    decide: async (action, namespace) => {
      const decision = await asked([namespace], (authorizer, patience) =>
        authorizer.decide(principal, action, namespace, patience),
      );
      metrics?.decisionAge(decision.ageMs);
      return decision;
    },
    decideAll: async (action, namespaces) => {
      const told = new Map<string, Decision | KeyholeError>();
      const tellAll: Asking<unknown> = (authorizer, patience) =>
        Promise.all(
          namespaces.map(async (namespace) => {
            const decision = authorizer.decide(principal, action, namespace, patience);
            told.set(namespace, await decision.catch(untold));
          }),
        );
      const telling = asked(namespaces, tellAll, OTHERS_DEADLINE_MS);
      const late = await telling.then(() => undefined, untold);
      for (const one of told.values()) if (!isKeyholeError(one)) metrics?.decisionAge(one.ageMs);
      return namespaces.map((namespace) => told.get(namespace) ?? late ?? lost(namespace));
    },
    stillDecided: async (decision) => {
      if (!turn.place.wasLent) return decision;
      findings.decision = undefined;
      await assertStillThem(turn, principal, deadline);
      return await request.decide(action, namespace);
    },
    payloads: () => payloadsOf(turn, principal, shareOf(principal, options.limits)),
    refusedPayloads: (refusal) =>
      payloadsOf(turn, principal, shareOfRefused(refusal, options.limits)).catch((error: unknown) => {
        throw isKeyholeError(error) && error.code === 'overloaded' ? refusal : error;
      }),
  };
  return request;
}

/** @throws `error`, unless it says that roles cannot be told now. */
function untold(error: unknown): KeyholeError {
  if (isKeyholeError(error) && isPassingRefusal(error)) return error;
  throw error;
}

function lost(namespace: string): never {
  throw new TypeError(`no decision for ${namespace}`);
}

async function payloadsOf(turn: TurnInPlace, principal: Principal, share: Share): Promise<Payload[]> {
  const { limits } = turn.setup.parts.options;
  const body = await readBody(turn, share, limits.bodyBytes);
  const payloads = readPayloads(body, limits.payloads);
  turn.budgets.takePayloads(principal, payloads.length, limits);
  return payloads;
}
