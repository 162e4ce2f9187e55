// A request of a known caller, as decode, encode and download see it.
import type { Payload } from '@temporalio/common';
import type { Action, Decision } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import type { PayloadCipher } from '../codec/payload-cipher.js';
import type { KeyholeError } from '../errors.js';
import type { Wait } from './each-of.js';
import type { Findings } from './findings.js';
import type { DeniedMode } from './options.js';

/** Whether somebody may well be told otherwise who asks again. */
export function isPassingRefusal({ code }: KeyholeError): boolean {
  return code === 'authz_unavailable' || code === 'rate_limited' || code === 'overloaded';
}

/** What came of a request that was carried out. */
export interface Reply {
  /** For the record: `ok`, or why payloads were not opened. */
  readonly outcome: string;
  readonly payloads: readonly Payload[];
}

/** A reply as it is sent: while it waits for its record, it keeps one buffer instead of all its payloads. */
export interface WrittenReply extends Pick<Reply, 'outcome'> {
  readonly body: Buffer;
}

/**
 * While data keys are slow to come, one caller's requests keep a part of the places, and leave the others to those whose
 * keys are at hand.
 */
export interface KeyWait {
  /**
   * A data key is not at hand: a key service is asked for it next, once a request.
   *
   * @param wrapped - absent for a fresh one, which all that seal there share.
   * @throws KeyholeError `rate_limited`, `overloaded`: this request could not wait for it, so nothing is to be asked.
   */
  readonly onAsking: (wrapped?: Uint8Array) => void;
  /** @throws KeyholeError `kms_unavailable` after the deadline; where a key was asked for `rate_limited`, `overloaded` */
  readonly wait: Wait;
}

export interface CallerRequest {
  readonly principal: Principal;
  readonly action: Action;
  /** The namespace the request names. */
  readonly namespace: string;
  /** Whether a browser asks, for a page of an allowed origin. */
  readonly browser: boolean;
  readonly denied: DeniedMode;
  readonly cipher: PayloadCipher;
  readonly findings: Findings;
  /** @throws KeyholeError `rate_limited` where this caller's requests had key services asked too often. */
  assertKeyCallsLeft(): void;
  /** For what is decompressed and compressed here, and for data keys; one for all that a request waits for at once. */
  keyWait(): KeyWait;
  /** Asks the policy. @throws KeyholeError `authz_unavailable` */
  decide(action: Action, namespace: string): Promise<Decision>;
  /**
   * Once the body is there: what was decided before, or, after a body that was slow to come, what the policy says now.
   *
   * @throws KeyholeError `authz_unavailable`; `token_expired`
   */
  stillDecided(decision: Decision): Promise<Decision>;
  /**
   * The same for several namespaces at once, in their order: one wait, and two seconds for all. Where roles cannot be
   * told, not in time, or not now, as too many wait, an error that `isPassingRefusal` stands in that one's place.
   */
  decideAll(action: Action, namespaces: readonly string[]): Promise<readonly (Decision | KeyholeError)[]>;
  /** Reads the body, now and not before. @throws KeyholeError for a body that is too large or holds no payloads. */
  payloads(): Promise<Payload[]>;
  /** The same for somebody who is refused. @throws KeyholeError `refusal`, where too many are served already. */
  refusedPayloads(refusal: KeyholeError): Promise<Payload[]>;
}
