// What a line of the record says of a request, and of the log itself, built field by field, at most 16 KiB long.
import type { Action } from '../policy.js';
import type { AlsoOpened, AuditEvent } from './audit-log.js';
import {
  bytesOf,
  classified,
  cut,
  DATASTORE_ACTIVITY,
  listed,
  MAX_ID_BYTES,
  MAX_TEXT_BYTES,
  metadata,
  namespaceOf,
  ofTheLogItself,
  PRODUCT,
  statusOf,
  userOf,
  type Attributes,
  type AuditRecord,
} from './ocsf.js';

export type { AuditRecord } from './ocsf.js';

/** What all lists of names share of a line, beside which everything else fits into 16 KiB. */
const LISTS_BYTES = 6_784;

const ACTIVITIES: Readonly<Record<Action, readonly [id: number, name: string]>> = {
  decode: [10, 'Decrypt'],
  encode: [9, 'Encrypt'],
  download: [1, 'Read'],
};

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

/** Who writes a chain. */
export interface ChainWriter {
  /** Of Keyhole. */
  readonly version: string;
  /** SHA-256 of the configuration file, in hex; `undefined` where there is none. */
  readonly configuration: string | undefined;
}

export interface ChainStart extends ChainWriter {
  readonly cause: ChainCause;
  /** The last line before it that is known to be whole. */
  readonly after: Link | undefined;
}

/** Made for every request: `Object.assign` costs a tenth of what spreads cost, and JSON leaves `undefined` out. */
export function requestRecord(event: AuditEvent, nowMs: number): AuditRecord {
  const { requestId, action, status, outcome, who, namespace, why, keys, payloads, digests } = event;
  const also = alsoOpenedOf(event.alsoOpened);
  const roomBytes = LISTS_BYTES - (also === undefined ? 0 : bytesOf(also));
  const used = listed(keys, roomBytes);
  const bound = listed(namespace.bound, roomBytes - bytesOf(used.named));
  const common = classified(DATASTORE_ACTIVITY, ACTIVITIES[action], nowMs);
  return Object.assign(common, statusOf(outcome), {
    metadata: metadata(),
    actor: {
      user: userOf(who),
      idp: { name: cut(who.issuer) },
      authorizations: [
        why === undefined
          ? { decision: 'denied' }
          : {
              decision: 'allowed',
              policy: { uid: `rules[${why.rule}]`, name: cut(why.role), type: cut(why.source) },
            },
      ],
    },
    src_endpoint: { ip: cut(who.address, MAX_ID_BYTES) },
    database: namespaceOf(namespace.claimed),
    http_request: { uid: cut(requestId, MAX_ID_BYTES) },
    http_response: { code: status },
    unmapped: {
      type: 'request',
      method: who.method,
      decisionAgeMs: why === undefined ? undefined : Math.round(why.ageMs),
      alsoOpened: also,
      bound: bound.named,
      boundMore: bound.more,
      keys: used.named,
      keysMore: used.more,
      payloads: {
        opened: payloads.opened,
        sealed: payloads.sealed,
        passed: payloads.passed,
        failed: payloads.failed,
        refused: payloads.refused,
      },
      digests: digests.slice(0, 64).map((digest) => cut(digest)),
    },
  });
}

/** Each is told, and its namespace in full; its role and its source share the room of one text each with the others. */
function alsoOpenedOf(all: readonly AlsoOpened[]): readonly Attributes[] | undefined {
  const roomBytes = MAX_TEXT_BYTES / all.length;
  const told = all.map(({ namespace, payloads, rule, role, source, ageMs }) => ({
    namespace,
    payloads,
    rule: `rules[${rule}]`,
    role: cut(role, roomBytes),
    source: cut(source, roomBytes),
    decisionAgeMs: Math.round(ageMs),
  }));
  return told.length === 0 ? undefined : told;
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

/** Which configuration is used from now on: another one, or the same where one that is not used came on record. */
export function configurationRecord(digest: string | undefined, nowMs: number): AuditRecord {
  return {
    ...ofTheLogItself('Configuration', nowMs),
    ...statusOf('ok'),
    metadata: metadata(),
    unmapped: { type: 'configuration', configuration: digest ?? null },
  };
}
