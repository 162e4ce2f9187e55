// What a line of the record says: OCSF 1.8 Datastore Activity, built field by field, at most 16 KiB long.
import type { AuditEvent } from './audit-log.js';
import type { Action } from './policy.js';

/** Names of a list beyond this many bytes are counted instead of named. */
const MAX_LIST_BYTES = 2_560;
/** Room for 255 characters of three bytes. */
const MAX_TEXT_BYTES = 768;
/** As many fit, however JSON escapes them. */
const CUT_LENGTH = 120;

/** https://schema.ocsf.io/1.8.0/classes/datastore_activity */
const OCSF_VERSION = '1.8.0';
const CATEGORY_UID = 6;
const CLASS_UID = 6005;
const OTHER = 99;
const ACTIVITIES: Readonly<Record<Action, readonly [id: number, name: string]>> = {
  decode: [10, 'Decrypt'],
  encode: [9, 'Encrypt'],
  download: [1, 'Read'],
};
const PRODUCT = { name: 'Keyhole', vendor_name: 'temporal-keyhole' };

/** A record before it has its place in a chain. */
export interface AuditRecord {
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What OCSF has no attribute for. */
  readonly unmapped: Readonly<Record<string, unknown>>;
  readonly [attribute: string]: unknown;
}

/** Records that could not be written, told by the first line that could. */
export interface Gap {
  /** Requests refused for want of a record; of some the record may stand in the file all the same. */
  readonly refused: number;
  /** When the first of them was, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** A line of a chain, by which it can be proven later. */
export interface Link {
  readonly chain: string;
  /** 0 is the chain's first line. */
  readonly sequence: number;
  /** SHA-256 of the line without its newline, in hex. */
  readonly hash: string;
}

/** Why a chain begins: the process started, the file was reopened, or the chain before could not be written on. */
export type ChainCause = 'start' | 'reopen' | 'failure';

export interface ChainStart {
  readonly cause: ChainCause;
  /** The last line before it that is known to be whole. */
  readonly after: Link | undefined;
  /** Of Keyhole. */
  readonly version: string;
  /** SHA-256 of the configuration file, in hex; `undefined` where there is none. */
  readonly configuration: string | undefined;
}

export function requestRecord(event: AuditEvent, nowMs: number): AuditRecord {
  const { requestId, action, status, outcome, who, namespace, why, keys, payloads, digests } = event;
  const allowed = why !== undefined;
  return {
    ...classified(ACTIVITIES[action], nowMs),
    ...statusOf(outcome),
    metadata: metadata(),
    actor: {
      user: { uid: cut(who.subject), ...(who.email !== undefined && { email_addr: cut(who.email) }) },
      idp: { name: cut(who.issuer) },
      authorizations: [
        allowed
          ? { decision: 'allowed', policy: { uid: `rules[${why.rule}]`, name: why.role, type: why.source } }
          : { decision: 'denied' },
      ],
    },
    src_endpoint: { ip: cut(who.address) },
    database: { name: cut(namespace.claimed), type: 'Temporal namespace', type_id: OTHER },
    http_request: { uid: cut(requestId) },
    http_response: { code: status },
    unmapped: {
      type: 'request',
      method: who.method,
      ...(allowed && { decisionAgeMs: Math.round(why.ageMs) }),
      ...listed('bound', namespace.bound),
      ...listed('keys', keys),
      payloads: {
        opened: payloads.opened,
        sealed: payloads.sealed,
        passed: payloads.passed,
        failed: payloads.failed,
        refused: payloads.refused,
      },
      digests: digests.slice(0, 64).map(cut),
    },
  };
}

export function gapRecord({ refused, sinceMs }: Gap, nowMs: number): AuditRecord {
  return {
    ...ofTheLogItself('Gap', sinceMs),
    count: refused,
    start_time: sinceMs,
    end_time: nowMs,
    ...statusOf('audit_unavailable'),
    metadata: metadata(),
    unmapped: { type: 'gap' },
  };
}

/** The first record of a chain. */
export function startRecord(
  { cause, after, version, configuration }: ChainStart,
  nowMs: number,
): AuditRecord {
  return {
    ...ofTheLogItself('Chain start', nowMs),
    ...statusOf('ok'),
    metadata: { ...metadata(), product: { ...PRODUCT, version } },
    unmapped: {
      type: 'start',
      cause,
      after: after === undefined ? null : { chain: after.chain, sequence: after.sequence, hash: after.hash },
      configuration: configuration ?? null,
    },
  };
}

function metadata(): Readonly<Record<string, unknown>> {
  return { version: OCSF_VERSION, product: PRODUCT, log_name: 'keyhole-audit' };
}

function classified(
  [id, name]: readonly [id: number, name: string],
  time: number,
): Readonly<Record<string, unknown>> {
  return {
    time,
    activity_id: id,
    activity_name: name,
    category_uid: CATEGORY_UID,
    class_uid: CLASS_UID,
    type_uid: CLASS_UID * 100 + id,
    severity_id: 1,
  };
}

function ofTheLogItself(name: string, time: number): Readonly<Record<string, unknown>> {
  return {
    ...classified([OTHER, name], time),
    actor: { app_name: 'keyhole' },
    src_endpoint: { svc_name: 'keyhole' },
    database: { name: 'keyhole-audit', type: 'Audit log', type_id: OTHER },
  };
}

function statusOf(outcome: string): Readonly<Record<string, unknown>> {
  return { status_id: outcome === 'ok' ? 1 : 2, status_code: outcome };
}

function cut(text: string): string {
  return bytesOf(text) <= MAX_TEXT_BYTES ? text : `${text.slice(0, CUT_LENGTH)}…`;
}

function bytesOf(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}

/** As many names as fit; how many were left out stands beside them, as `…More`. */
function listed(name: string, values: readonly string[]): Readonly<Record<string, unknown>> {
  const named: string[] = [];
  let bytes = 0;
  for (const value of values.map(cut)) {
    bytes += bytesOf(value) + 1;
    if (bytes > MAX_LIST_BYTES) break;
    named.push(value);
  }
  const more = values.length - named.length;
  return { [name]: named, ...(more > 0 && { [`${name}More`]: more }) };
}
