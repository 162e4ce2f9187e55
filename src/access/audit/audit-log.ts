// The record: who asked for what, why it was allowed or refused, durable before the answer.
import type { Action } from '../policy.js';
import type { StrangerRefusal } from './stranger-refusals.js';

export type { StrangerRefusal } from './stranger-refusals.js';

/** Why a namespace might be worked on. */
export interface Reason {
  /** Index of the rule in the configuration, and the role that matched. */
  readonly rule: number;
  readonly role: string;
  /** Where the role came from, and how old that was. */
  readonly source: string;
  readonly ageMs: number;
}

/** A namespace beside the requested one, of which payloads were opened. */
export interface AlsoOpened extends Reason {
  readonly namespace: string;
  /** How many were opened. */
  readonly payloads: number;
}

export interface AuditEvent {
  readonly requestId: string;
  readonly action: Action;
  /** HTTP status of the answer. */
  readonly status: number;
  /** `ok`, or the error code of the answer. */
  readonly outcome: string;
  readonly who: {
    readonly subject: string;
    readonly email: string | undefined;
    readonly issuer: string;
    readonly method: string;
    readonly address: string;
  };
  readonly namespace: {
    /** The namespace the request named. */
    readonly claimed: string;
    /** The namespaces its payloads say they are bound to: first those of which some were opened. */
    readonly bound: readonly string[];
  };
  /** Why it was allowed in the claimed namespace; `undefined` when it was refused. */
  readonly why: Reason | undefined;
  /** The namespaces beside the claimed one of which payloads were opened, at most 12. */
  readonly alsoOpened: readonly AlsoOpened[];
  /** Configured names of the wrapping keys that opened something. */
  readonly keys: readonly string[];
  readonly payloads: {
    readonly opened: number;
    readonly sealed: number;
    readonly passed: number;
    readonly failed: number;
    readonly refused: number;
  };
  /**
   * SHA-256 (hex) of the `data` of each sealed payload, of a compressed one of what is inside, at most 64; beyond that
   * one over all lengths (four bytes, big-endian) and data.
   */
  readonly digests: readonly string[];
}

/** What somebody did on the pages for people. */
export interface Visit {
  readonly requestId: string;
  readonly activity: 'sign-in' | 'sign-out' | 'look';
  /** HTTP status of the answer. */
  readonly status: number;
  /** `ok`, or the error code of the answer. */
  readonly outcome: string;
  readonly who: AuditEvent['who'];
  /** Of a look: the namespaces that it was about; none: those of the configuration. */
  readonly namespaces: readonly string[];
}

/** Whether others will soon hand in theirs: what makes a record durable waits for those, 2 ms at most. */
export type MoreSoon = () => boolean;

export interface AuditLog {
  /**
   * Resolves once the record is durable.
   *
   * @param moreSoon - asked after one turn of the event loop. Default is that it is the last one, and nothing is waited for.
   * @throws KeyholeError `audit_unavailable` if it cannot be made durable within 1 s.
   */
  append(event: AuditEvent, moreSoon?: MoreSoon): Promise<void>;
  /** As `append`. */
  appendVisit(visit: Visit): Promise<void>;
  /** Counts the refusal of somebody who is not known; told within a minute, and at the end. Never throws. */
  refused(refusal: StrangerRefusal): void;
  /**
   * Resolves once it is on record that another configuration is used from now on.
   *
   * @param digest - SHA-256 of its file, in hex; `undefined`: there is none.
   * @throws KeyholeError `audit_unavailable`
   */
  configured(digest: string | undefined): Promise<void>;
  /** Reopens the file (SIGHUP). */
  reopen(): Promise<void>;
  close(): Promise<void>;
}
