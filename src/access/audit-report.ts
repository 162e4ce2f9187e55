// Who read what, how often, and how often they were refused, as the lines of the record tell it.
import { objectOf, readLine } from './audit-chain.js';
import { linesOf } from './audit-lines.js';

export type ReportBy = 'person' | 'namespace' | 'key';

export interface ReportOptions {
  readonly by: ReportBy;
  /** Earlier requests do not count, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

export interface ReportRow {
  /** The e-mail, else subject and issuer; the namespace that was asked for; the configured name of the key. */
  readonly name: string;
  readonly requests: number;
  /** Of these: that were not answered with 200. */
  readonly refused: number;
  /** Payloads; by key: of requests in which the key was used. */
  readonly opened: number;
  readonly sealed: number;
  /** The last request, in milliseconds since the epoch. */
  readonly lastMs: number;
}

export interface AuditReport {
  /** Most opened payloads first. */
  readonly rows: readonly ReportRow[];
  /** Lines that are none of a record. */
  readonly skipped: number;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Proves nothing: that is for `verifyAudit`.
 *
 * @throws Error of the system for a file that cannot be read.
 */
export async function auditReport(
  files: readonly string[],
  { by, sinceMs }: ReportOptions,
): Promise<AuditReport> {
  const rows = new Map<string, ReportRow>();
  let skipped = 0;
  for (const file of files) {
    for await (const { bytes } of linesOf(file)) {
      const record = readLine(bytes)?.record;
      if (record === undefined) skipped += 1;
      else if (isRequest(record) && numberOf(record['time']) >= sinceMs) count(rows, record, by);
    }
  }
  const sorted = [...rows.values()].sort(
    (one, other) => other.opened - one.opened || other.requests - one.requests,
  );
  return { rows: sorted, skipped };
}

function isRequest(record: Json): boolean {
  return objectOf(record['unmapped'])?.['type'] === 'request';
}

function count(rows: Map<string, ReportRow>, record: Json, by: ReportBy): void {
  const payloads = objectOf(objectOf(record['unmapped'])?.['payloads']);
  const time = numberOf(record['time']);
  for (const name of namesOf(record, by)) {
    const row = rows.get(name) ?? { name, requests: 0, refused: 0, opened: 0, sealed: 0, lastMs: 0 };
    rows.set(name, {
      name,
      requests: row.requests + 1,
      refused: row.refused + (record['status_id'] === 1 ? 0 : 1),
      opened: row.opened + numberOf(payloads?.['opened']),
      sealed: row.sealed + numberOf(payloads?.['sealed']),
      lastMs: Math.max(row.lastMs, time),
    });
  }
}

/** A request counts for each key that it used, and for none if it used none. */
function namesOf(record: Json, by: ReportBy): string[] {
  switch (by) {
    case 'person':
      return [personOf(objectOf(record['actor']))];
    case 'namespace':
      return [textOf(objectOf(record['database'])?.['name'])];
    case 'key':
      return listOf(objectOf(record['unmapped'])?.['keys']).map(textOf);
  }
}

function personOf(actor: Json | undefined): string {
  const user = objectOf(actor?.['user']);
  const email = user?.['email_addr'];
  if (typeof email === 'string') return email;
  return `${textOf(user?.['uid'])} of ${textOf(objectOf(actor?.['idp'])?.['name'])}`;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '?';
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
