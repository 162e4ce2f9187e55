// What people do on the pages, on record before they are answered.
import type { Visit } from '../../access/audit/audit-log.js';
import type { Identity } from '../../access/principal.js';
import { CallerDeadline } from '../admission/caller-deadline.js';
import { errorResponse } from '../error-response.js';
import { RECORD_DEADLINE_MS } from '../limits.js';
import type { Turn } from '../turn.js';

/** Who does what, and of a look the namespaces that it is about. */
export interface Visiting {
  readonly activity: Visit['activity'];
  readonly identity: Identity;
  readonly namespaces?: readonly string[];
}

/**
 * Resolves to what `work` answers once its record is durable.
 *
 * @throws KeyholeError what `work` throws, on record too; `audit_unavailable` where there is no record.
 */
export async function withRecord<T>(turn: Turn, visiting: Visiting, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    const { status, code } = errorResponse(error);
    await putOnRecord(turn, visiting, status, code);
    throw error;
  }
  await putOnRecord(turn, visiting, 200);
  return result;
}

/** @throws KeyholeError `audit_unavailable` */
export async function putOnRecord(
  { exchange, address, clock, setup, onRecord }: Turn,
  { activity, identity, namespaces = [] }: Visiting,
  status: number,
  outcome = 'ok',
): Promise<void> {
  onRecord();
  const { subject, email, issuer } = identity;
  const who = { subject, email, issuer, method: 'session', address };
  const visit = { requestId: exchange.requestId, activity, status, outcome, who, namespaces };
  await new CallerDeadline(clock, RECORD_DEADLINE_MS).run('audit_unavailable', () =>
    setup.parts.audit.appendVisit(visit),
  );
}
