// Records as the codec server hands them in, and how they are read back.
import { statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AuditEvent, Visit } from '../../../src/access/audit/audit-log.js';
import { keepStream } from '../../streams.js';

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
    alsoOpened: [],
    keys: ['alias/orders_a1b2c'],
    payloads: { opened: 2, sealed: 0, passed: 1, failed: 0, refused: 0 },
    digests: ['a'.repeat(64), 'b'.repeat(64)],
    ...changed,
  };
}

export function visit(activity: Visit['activity'], changed: Partial<Visit> = {}): Visit {
  const { requestId, who } = auditEvent(activity);
  return { requestId, activity, status: 200, outcome: 'ok', who, namespaces: [], ...changed };
}

/** What tests give as the writer of a record. */
export const WRITER = { version: '1.2.3', configuration: 'c'.repeat(64) };

export interface Line {
  readonly time: number;
  readonly start_time?: number;
  readonly end_time?: number;
  /** Of a gap, and of refusals of strangers: how many. */
  readonly count?: number;
  readonly status_code: string;
  readonly http_request?: { readonly uid: string };
  readonly unmapped: { readonly type: 'start' | 'request' | 'gap' | 'refusals' };
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

/** Request ids, gaps and refusals of strangers, in order: `a`, `b`, `gap of 2`, `7 refused`, …; what begins a chain is left out. */
export async function told(path: string): Promise<string[]> {
  return (await linesOf(path)).map(said).filter((said) => said !== 'start');
}

/** A line in a word. */
export function said({ unmapped, http_request, count }: Line): string {
  if (unmapped.type === 'request') return http_request?.uid ?? '';
  if (unmapped.type === 'refusals') return `${count ?? 'nothing'} refused`;
  return unmapped.type === 'gap' ? `gap of ${count ?? 'nothing'}` : unmapped.type;
}

/** The files of a record, those kept under the names of their chains among them. */
export async function filesOf(path: string): Promise<string[]> {
  const directory = dirname(path);
  const names = await readdir(directory);
  return names.filter((name) => /\.ndjson(\.1)?$/.test(name)).map((name) => join(directory, name));
}

/** What all files of a record tell, in any order; a file of two names, as a rename in between may leave it, once. */
export async function toldInAll(path: string): Promise<string[]> {
  const files = new Map((await filesOf(path)).map((file) => [statSync(file).ino, file]));
  return (await Promise.all([...files.values()].map(told))).flat();
}
