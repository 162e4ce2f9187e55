// A request of a caller who is known on record, and its payloads in the metrics.
import type { AuditEvent } from '../access/audit/audit-log.js';
import { CallerDeadline } from './admission/caller-deadline.js';
import type { CallerRequest } from './caller-request.js';
import { RECORD_DEADLINE_MS } from './limits.js';
import { during } from './telemetry/tracing.js';
import type { Turn } from './turn.js';

/** What is about to be answered. */
export interface Outcome {
  /** 0: nobody is there to be answered. */
  readonly status: number;
  /** `ok`, or why not. */
  readonly outcome: string;
}

/**
 * Resolves once the record is durable.
 *
 * @throws KeyholeError `audit_unavailable`
 */
export async function putOnRecord(turn: Turn, request: CallerRequest, outcome: Outcome): Promise<void> {
  const { admission, clock, setup } = turn;
  const { audit, metrics, tracing } = setup.parts;
  metrics?.payloads('passed', request.findings.passed);
  metrics?.payloads('refused', request.findings.refused);
  const event = auditEvent(turn, request, outcome);
  const startedMs = clock.monotonic();
  await during(tracing, 'commit record', () =>
    new CallerDeadline(clock, RECORD_DEADLINE_MS).run('audit_unavailable', () =>
      admission.whileRecorded((moreSoon) => audit.append(event, moreSoon)),
    ),
  );
  metrics?.recorded(clock.monotonic() - startedMs);
}

function auditEvent(
  { exchange, address }: Turn,
  { principal, action, namespace, findings }: CallerRequest,
  { status, outcome }: Outcome,
): AuditEvent {
  const { subject, email, issuer, method } = principal;
  const { bound, why, alsoOpened, keys, payloads, digests } = findings.recorded();
  return {
    requestId: exchange.requestId,
    action,
    status,
    outcome,
    who: { subject, email, issuer, method, address },
    namespace: { claimed: namespace, bound },
    why,
    alsoOpened,
    keys,
    payloads,
    digests,
  };
}
