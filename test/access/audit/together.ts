// Two records of which the second comes a turn of the event loop later, as the first one was told it would.
import { vi } from 'vitest';
import type { AuditLog } from '../../../src/access/audit/audit-log.js';
import { auditEvent } from './events.js';

/** Resolves once both are durable. */
export async function appendTogether(log: AuditLog): Promise<void> {
  vi.useFakeTimers({ toFake: ['performance'] }); // no turn takes long
  let handedIn = 1;
  const moreSoon = (): boolean => handedIn < 2;
  const first = log.append(auditEvent('a'), moreSoon);
  await new Promise((resolve) => setImmediate(resolve));
  handedIn = 2;
  const second = log.append(auditEvent('b'), moreSoon);
  vi.useRealTimers();
  await Promise.all([first, second]);
}
