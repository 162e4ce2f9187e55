// What all records share: the parts of an OCSF 1.8 event, and how long they may become.

import type { AuditEvent } from './audit-log.js';

/** Names of a list beyond this many bytes are counted instead of named. */
const MAX_LIST_BYTES = 2_560;
/** Room for 255 characters of three bytes. */
export const MAX_TEXT_BYTES = 768;
/** Room for the longest namespace. */
const MAX_NAMESPACE_BYTES = 264;
/** Room for an address, or the id of a request. */
export const MAX_ID_BYTES = 64;
/** What JSON makes of one UTF-16 unit at most, `\u0001`. */
const MAX_UNIT_BYTES = 6;

const OCSF_VERSION = '1.8.0';
export const PRODUCT = { name: 'Keyhole', vendor_name: 'temporal-keyhole' };

/** A record, made for one line: the chain writes its place into `metadata` and `unmapped`. */
export interface AuditRecord {
  readonly metadata: Record<string, unknown>;
  /** What OCSF has no attribute for. */
  readonly unmapped: Record<string, unknown>;
  readonly [attribute: string]: unknown;
}

export type Attributes = Readonly<Record<string, unknown>>;

/** An event class of OCSF, in its category. */
export interface EventClass {
  readonly category: number;
  readonly uid: number;
}

/** https://schema.ocsf.io/1.8.0/classes/datastore_activity */
export const DATASTORE_ACTIVITY: EventClass = { category: 6, uid: 6005 };
/** https://schema.ocsf.io/1.8.0/classes/authentication */
export const AUTHENTICATION: EventClass = { category: 3, uid: 3002 };
/** What an enumeration of OCSF does not list. */
export const OTHER = 99;

export function metadata(): Record<string, unknown> {
  return { version: OCSF_VERSION, product: PRODUCT, log_name: 'keyhole-audit' };
}

export function classified(
  { category, uid }: EventClass,
  [id, name]: readonly [id: number, name: string],
  time: number,
): Attributes {
  return {
    time,
    activity_id: id,
    activity_name: name,
    category_uid: category,
    class_uid: uid,
    type_uid: uid * 100 + id,
    severity_id: 1,
  };
}

/** What the log says of itself, or of those whom it cannot name. */
export function ofTheLogItself(name: string, time: number): Attributes {
  return {
    ...classified(DATASTORE_ACTIVITY, [OTHER, name], time),
    actor: { app_name: 'keyhole' },
    src_endpoint: { svc_name: 'keyhole' },
    database: { name: 'keyhole-audit', type: 'Audit log', type_id: OTHER },
  };
}

/** A namespace, as the datastore that it is. */
export function namespaceOf(name: string): Attributes {
  return { name: cut(name, MAX_NAMESPACE_BYTES), type: 'Temporal namespace', type_id: OTHER };
}

/** Somebody who is known, as their issuer names them. */
export function userOf({ subject, email }: Pick<AuditEvent['who'], 'subject' | 'email'>): Attributes {
  return { uid: cut(subject), email_addr: email === undefined ? undefined : cut(email) };
}

export function statusOf(outcome: string): Attributes {
  return { status_id: outcome === 'ok' ? 1 : 2, status_code: outcome };
}

/**
 * The text, or as much of it as fits.
 *
 * @param roomBytes - of the line, with its quotes, however JSON escapes it. Default is 768.
 */
export function cut(text: string, roomBytes: number = MAX_TEXT_BYTES): string {
  if (text.length * MAX_UNIT_BYTES + 2 <= roomBytes || bytesOf(text) <= roomBytes) return text;
  let short = '';
  let bytes = bytesOf('…');
  for (const character of text) {
    bytes += bytesOf(character) - 2; // without its quotes
    if (bytes > roomBytes) break;
    short += character;
  }
  return `${short}…`;
}

/**
 * As many names as fit, and how many were left out, if any.
 *
 * @param roomBytes - Default is 2560, which is the most.
 */
export function listed(
  values: readonly string[],
  roomBytes: number = MAX_LIST_BYTES,
): {
  readonly named: readonly string[];
  readonly more: number | undefined;
} {
  const named: string[] = [];
  let bytes = 0;
  for (const value of values) {
    const short = cut(value);
    bytes += bytesOf(short) + 1;
    if (bytes > Math.min(roomBytes, MAX_LIST_BYTES)) break;
    named.push(short);
  }
  return { named, more: values.length > named.length ? values.length - named.length : undefined };
}

/** As JSON. */
export function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
