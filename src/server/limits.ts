// What one codec server takes on at most: the defaults, and the bounds no configuration may pass.

/** The limits of a server that can be configured (`limits` of the configuration). */
export interface Limits {
  /** Body of one request, in bytes, counted while it streams. Default is 8 MiB. */
  readonly bodyBytes: number;
  /** Payloads of one request. Default is 10000. */
  readonly payloads: number;
  /** Requests in flight. Default is 256. */
  readonly concurrency: number;
  /** Requests that wait, at most one second, until another one ends. Default is 512. */
  readonly waiting: number;
  /** Request line and headers of one request, in bytes. Default is 48 KiB. */
  readonly headerBytes: number;
  /** Open connections. Default is 1024. */
  readonly connections: number;
  /** Body bytes of all requests held at once. Default is 128 MiB. */
  readonly heldBytes: number;
  /** Requests a second of one caller, in the long run. Default is 100. */
  readonly callerRequestsPerSecond: number;
  /** Requests of one caller that may come at once. Default is 1000. */
  readonly callerBurst: number;
  /** Payloads a minute of one caller. Default is 100000. */
  readonly callerPayloadsPerMinute: number;
  /** Calls a second to key services, of the whole process. Default is 200. */
  readonly keyCallsPerSecond: number;
  /** How long a server that stops goes on accepting after it said "not ready". Default is 5. */
  readonly shutdownDelaySeconds: number;
}

/** Default and bounds of one limit; all are whole numbers. */
export interface LimitBounds {
  readonly default: number;
  readonly least: number;
  readonly most: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Start-up refuses a limit outside of `least` and `most`. */
export const LIMIT_BOUNDS: { readonly [K in keyof Limits]: LimitBounds } = {
  bodyBytes: { default: 8 * MIB, least: KIB, most: 64 * MIB },
  payloads: { default: 10_000, least: 1, most: 100_000 },
  concurrency: { default: 256, least: 1, most: 4_096 },
  waiting: { default: 512, least: 0, most: 65_536 },
  headerBytes: { default: 48 * KIB, least: 4 * KIB, most: 256 * KIB },
  connections: { default: 1_024, least: 1, most: 65_536 },
  heldBytes: { default: 128 * MIB, least: MIB, most: 4_096 * MIB },
  callerRequestsPerSecond: { default: 100, least: 1, most: 1_000_000 },
  callerBurst: { default: 1_000, least: 1, most: 1_000_000 },
  callerPayloadsPerMinute: { default: 100_000, least: 1, most: 1_000_000_000 },
  keyCallsPerSecond: { default: 200, least: 1, most: 100_000 },
  shutdownDelaySeconds: { default: 5, least: 0, most: 600 },
};

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: LIMIT_BOUNDS.bodyBytes.default,
  payloads: LIMIT_BOUNDS.payloads.default,
  concurrency: LIMIT_BOUNDS.concurrency.default,
  waiting: LIMIT_BOUNDS.waiting.default,
  headerBytes: LIMIT_BOUNDS.headerBytes.default,
  connections: LIMIT_BOUNDS.connections.default,
  heldBytes: LIMIT_BOUNDS.heldBytes.default,
  callerRequestsPerSecond: LIMIT_BOUNDS.callerRequestsPerSecond.default,
  callerBurst: LIMIT_BOUNDS.callerBurst.default,
  callerPayloadsPerMinute: LIMIT_BOUNDS.callerPayloadsPerMinute.default,
  keyCallsPerSecond: LIMIT_BOUNDS.keyCallsPerSecond.default,
  shutdownDelaySeconds: LIMIT_BOUNDS.shutdownDelaySeconds.default,
};

/** Fixed limits of what one request may hold. */
export const MAX_HEADERS = 100;
export const MAX_JSON_DEPTH = 16;
export const MAX_METADATA_ENTRIES = 64;
export const MAX_METADATA_KEY_BYTES = 256;
export const MAX_METADATA_VALUE_BYTES = 8 * KIB;
export const MAX_DATA_BYTES = 4 * MIB;
/** Distinct wrapped data keys of one request. */
export const MAX_DATA_KEYS = 1_000;
/** Calls to key services a minute, and at once, that one caller may bring about. */
export const CALLER_KEY_CALLS_PER_MINUTE = 2_000;
/** What someone who is not signed in may send to get a notice back. */
export const MAX_STRANGER_BODY_BYTES = 256 * KIB;
export const MAX_STRANGER_PAYLOADS = 64;

/** Open connections from one address on which nobody has been identified yet. */
export const MAX_STRANGER_CONNECTIONS = 64;

/**
 * Requests in progress on one connection, and bytes of their headers with which no further one is begun: whoever
 * pipelines more would have them kept here, their answers untaken. Of strangers' one is worked on.
 */
export const MAX_PIPELINED = 32;
export const MAX_PIPELINED_BYTES = 256 * KIB;

/** Requests read behind the answer that a connection ends with, which are none: more are not waited for. */
export const MAX_IGNORED = 32;

/** Open connections, and the time one has for its request, where Prometheus and orchestrators ask. */
export const MAX_METRICS_CONNECTIONS = 64;
export const METRICS_TIMEOUT_MS = 5_000;

/** Fixed times of one request, in milliseconds. */
export const HEADERS_TIMEOUT_MS = 10_000;
export const REQUEST_TIMEOUT_MS = 30_000;
/** How long a caller may take to read an answer. */
export const ANSWER_TIMEOUT_MS = 30_000;
/** Longer than the idle time-out of the usual balancers (60 s), which then close first. */
export const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** What the caller waits at most for the parts we ask: identity, roles, key service. */
export const CALLER_DEADLINE_MS = 5_000;
/** Of that, for the roles on namespaces that payloads are bound to beside the requested one; so many such namespaces. */
export const OTHERS_DEADLINE_MS = 2_000;
export const MAX_OTHER_NAMESPACES = 12;
/** How long the record of a request may take; the log itself gives up earlier. */
export const RECORD_DEADLINE_MS = 2_000;
/** A body that takes longer is slow: its request lends its place, and is decided on anew. */
export const SLOW_BODY_MS = 250;
/** How long a request waits for its turn. */
export const MAX_WAIT_MS = 1_000;
/** How long a request waits for its refusal where there is no room even to wait; of so many at once. */
export const REFUSAL_PAUSE_MS = 500;
export const MAX_PAUSED = 1_000;
/** How long a server that stops waits for what is in flight. */
export const DRAIN_TIMEOUT_MS = 20_000;
