// A record as one line of JSON, built field by field, at most 16 KiB long.
import type { AuditEvent } from './audit-log.js';

/** Names of a list beyond this many bytes are counted instead of named. */
const MAX_LIST_BYTES = 3_072;
/** Room for 255 characters of three bytes. */
const MAX_TEXT_BYTES = 768;
/** As many fit, however JSON escapes them. */
const CUT_LENGTH = 120;

/** Records that could not be written, told by the first line that could. */
export interface Gap {
  /** Requests refused for want of a record; of some the record may stand in the file all the same. */
  readonly refused: number;
  /** When the first of them was, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** The line of a request, with its newline. */
export function requestLine(event: AuditEvent, nowMs: number): string {
  const { requestId, action, status, outcome, who, namespace, why, keys, payloads, digests } = event;
  return line({
    time: iso(nowMs),
    type: 'request',
    requestId: cut(requestId),
    action,
    status,
    outcome,
    who: {
      subject: cut(who.subject),
      email: who.email === undefined ? null : cut(who.email),
      issuer: cut(who.issuer),
      method: who.method,
      address: cut(who.address),
    },
    namespace: { claimed: cut(namespace.claimed), ...listed('bound', namespace.bound) },
    why:
      why === undefined
        ? null
        : { rule: why.rule, role: why.role, source: why.source, ageMs: Math.round(why.ageMs) },
    ...listed('keys', keys),
    payloads: {
      opened: payloads.opened,
      sealed: payloads.sealed,
      passed: payloads.passed,
      failed: payloads.failed,
      refused: payloads.refused,
    },
    digests: digests.slice(0, 64).map(cut),
  });
}

/** The line of a gap, with its newline. */
export function gapLine({ refused, sinceMs }: Gap, nowMs: number): string {
  return line({ time: iso(nowMs), type: 'gap', since: iso(sinceMs), refused });
}

/** Whoever reads lines splits at newlines only: JSON.stringify escapes every one inside. */
function line(record: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(record)}\n`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
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
