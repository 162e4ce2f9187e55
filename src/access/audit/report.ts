// Who read what, how often, by which rule, how often they were refused, and who signed in, as the record tells it.
import { objectOf, readLine, type ReadLine } from './chain.js';
import { eachOnce, linesOf } from './lines.js';

export const REPORTS = ['person', 'namespace', 'key', 'rule', 'stranger'] as const;
export type ReportBy = (typeof REPORTS)[number];

export interface ReportOptions {
  readonly by: ReportBy;
  /** Earlier requests do not count, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

export interface ReportRow {
  /**
   * The e-mail, else subject and issuer; the namespace that was asked for, or another one whose payloads were opened;
   * the configured name of the key; rule, role and source; network and error code of strangers.
   */
  readonly name: string;
  readonly requests: number;
  /** Of these: that were not answered with 200. */
  readonly refused: number;
  /** Payloads; by key: of requests in which the key was used. */
  readonly opened: number;
  readonly sealed: number;
  /** By person: how often they signed in. */
  readonly signIns: number;
  /** The last of these, in milliseconds since the epoch. */
  readonly lastMs: number;
}

export interface AuditReport {
  /** Most opened payloads first. */
  readonly rows: readonly ReportRow[];
  /** Lines that are none of a record. */
  readonly skipped: number;
  /** Chains that one here names as the one before it, and that are not here. */
  readonly missing: readonly string[];
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
  const chains = new Chains();
  let skipped = 0;
  for (const file of await eachOnce(files)) {
    for await (const { bytes } of linesOf(file)) {
      const read = readLine(bytes);
      if (read === undefined) {
        skipped += 1;
        continue;
      }
      chains.add(read);
      if (endOf(read.record) >= sinceMs) count(rows, read.record, by);
    }
  }
  const sorted = [...rows.values()].sort(
    (one, other) => other.opened - one.opened || other.requests - one.requests,
  );
  return { rows: sorted, skipped, missing: chains.missing() };
}

/** Which chains there are, and which are named only. */
class Chains {
  readonly #here = new Set<string>();
  readonly #named = new Set<string>();

  add({ link, before }: ReadLine): void {
    this.#here.add(link.chain);
    if (before !== undefined) this.#named.add(before.chain);
  }

  missing(): string[] {
    return [...this.#named].filter((chain) => !this.#here.has(chain));
  }
}

function count(rows: Map<string, ReportRow>, record: Json, by: ReportBy): void {
  const counted = figuresOf(record, by);
  if (counted === undefined) return;
  for (const [name, opened] of openedUnder(record, by, counted.opened)) {
    const row = rows.get(name) ?? { name, ...NOTHING, lastMs: 0 };
    rows.set(name, {
      name,
      requests: row.requests + counted.requests,
      refused: row.refused + counted.refused,
      opened: row.opened + opened,
      sealed: row.sealed + counted.sealed,
      signIns: row.signIns + counted.signIns,
      lastMs: Math.max(row.lastMs, endOf(record)),
    });
  }
}

type Figures = Omit<ReportRow, 'name' | 'lastMs'>;

const NOTHING: Figures = { requests: 0, refused: 0, opened: 0, sealed: 0, signIns: 0 };

/** What a line adds; `undefined`: it is about something else. */
function figuresOf(record: Json, by: ReportBy): Figures | undefined {
  const unmapped = objectOf(record['unmapped']);
  const succeeded = record['status_id'] === 1;
  switch (unmapped?.['type']) {
    case 'request': {
      if (by === 'stranger') return undefined;
      const payloads = objectOf(unmapped['payloads']);
      const [opened, sealed] = [numberOf(payloads?.['opened']), numberOf(payloads?.['sealed'])];
      return { requests: 1, refused: succeeded ? 0 : 1, opened, sealed, signIns: 0 };
    }
    case 'sign-in':
      return by === 'person' && succeeded ? { ...NOTHING, signIns: 1 } : undefined;
    case 'refusals': {
      const refused = numberOf(record['count']);
      return by === 'stranger' ? { ...NOTHING, requests: refused, refused } : undefined;
    }
    default:
      return undefined;
  }
}

/** Under which names a line counts, and the payloads that were opened under each: by its own namespace, and its rule. */
function openedUnder(record: Json, by: ReportBy, opened: number): ReadonlyMap<string, number> {
  const under = new Map(namesOf(record, by).map((name) => [name, opened]));
  if (by !== 'namespace' && by !== 'rule') return under;
  const add = (name: string, payloads: number): unknown => under.set(name, (under.get(name) ?? 0) + payloads);
  const [requested = '?'] = under.keys();
  for (const entry of listOf(objectOf(record['unmapped'])?.['alsoOpened'])) {
    const also = objectOf(entry);
    const payloads = numberOf(also?.['payloads']);
    add(requested, -payloads);
    add(
      by === 'namespace'
        ? textOf(also?.['namespace'])
        : ruleName(also?.['rule'], also?.['role'], also?.['source']),
      payloads,
    );
  }
  return under;
}

/** A request counts for each key that it used, and for none if it used none. */
function namesOf(record: Json, by: ReportBy): string[] {
  const [actor, unmapped] = [objectOf(record['actor']), objectOf(record['unmapped'])];
  switch (by) {
    case 'person':
      return [personOf(objectOf(actor?.['user'] ?? record['user']), objectOf(actor?.['idp']))];
    case 'namespace':
      return [textOf(objectOf(record['database'])?.['name'])];
    case 'key':
      return listOf(unmapped?.['keys']).map(textOf);
    case 'rule':
      return [ruleOf(objectOf(listOf(actor?.['authorizations'])[0]))];
    case 'stranger': {
      const network = unmapped?.['network'] === null ? 'several networks' : textOf(unmapped?.['network']);
      return [`${network} ${textOf(record['status_code'])}`];
    }
  }
}

/** Of what was counted together, the last moment. */
function endOf(record: Json): number {
  return numberOf(record['end_time'] ?? record['time']);
}

function ruleOf(authorization: Json | undefined): string {
  if (authorization?.['decision'] !== 'allowed') return 'none';
  const policy = objectOf(authorization['policy']);
  return ruleName(policy?.['uid'], policy?.['name'], policy?.['type']);
}

function ruleName(rule: unknown, role: unknown, source: unknown): string {
  return `${textOf(rule)} ${textOf(role)} (${textOf(source)})`;
}

function personOf(user: Json | undefined, idp: Json | undefined): string {
  const email = user?.['email_addr'];
  if (typeof email === 'string') return email;
  return `${textOf(user?.['uid'])} of ${textOf(idp?.['name'])}`;
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
