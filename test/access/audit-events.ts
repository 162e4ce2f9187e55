// Records as the codec server hands them in, and how they are read back.
import { readFile } from 'node:fs/promises';
import type { AuditEvent } from '../../src/access/audit-log.js';
import { keepStream } from '../streams.js';

export function auditEvent(requestId: string, changed: Partial<AuditEvent> = {}): AuditEvent {
  return {
    requestId,
    action: 'decode',
    status: 200,
    outcome: 'ok',
    who: {
      subject: 'auth0|alice',
      email: 'alice@example.com',
      issuer: 'https://idp.example/',
      method: 'bearer',
      address: '127.0.0.1',
    },
    namespace: { claimed: 'orders.a1b2c', bound: ['orders.a1b2c'] },
    why: { rule: 0, role: 'namespace:admin', source: 'temporal-cloud', ageMs: 1_234.5 },
    keys: ['alias/orders_a1b2c'],
    payloads: { opened: 2, sealed: 0, passed: 1, failed: 0, refused: 0 },
    digests: ['a'.repeat(64), 'b'.repeat(64)],
    ...changed,
  };
}

export interface Line {
  readonly type: 'request' | 'gap';
  readonly requestId?: string;
  readonly refused?: number;
  readonly since?: string;
  readonly time: string;
}

/** The lines of an audit file; those that were torn are left out. */
export async function linesOf(path: string): Promise<Line[]> {
  const text = await readFile(path, 'utf8');
  keepStream('audit-file', text);
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Line];
    } catch {
      return [];
    }
  });
}

/** Request ids and gaps, in order: `a`, `b`, `gap of 2`, … */
export async function told(path: string): Promise<string[]> {
  return (await linesOf(path)).map(({ type, requestId, refused }) =>
    type === 'gap' ? `gap of ${refused ?? 'nothing'}` : (requestId ?? ''),
  );
}
