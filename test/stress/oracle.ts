// Judges every answer of a soak by what is known beside the server: who had a right, and what the record says.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Payload } from '@temporalio/common';
import { CALLER_DEADLINE_MS, MAX_WAIT_MS, RECORD_DEADLINE_MS } from '../../src/server/limits.js';
import { keepStream } from '../streams.js';
import { shows } from '../chain/system.js';
import type { Answer } from '../chain/keyhole-process.js';
import type { Rights } from './rights.js';

/** A payload as a worker sealed it, and what is in it. */
export interface Sealed {
  readonly namespace: string;
  readonly text: string;
  readonly payload: Payload;
}

export interface Caller {
  /** As the record names them: e-mail of a person, name of a program. */
  readonly name: string;
  /** What they are refused with where they have no right: a stranger and a program that is gone are not known. */
  readonly refusedWith: readonly number[];
  /** Their rights are the configuration's: one that is given counts from some moment of the reload on. */
  readonly byConfiguration: boolean;
}

/** One request, before its answer. */
export interface Asked {
  readonly caller: Caller;
  readonly namespace: string;
  readonly sealed: readonly Sealed[];
  readonly atMs: number;
}

export interface Counts {
  asked: number;
  /** Payloads that somebody could read. */
  opened: number;
  /** Payloads that came back as they were. */
  withheld: number;
  /** Requests of those who are not allowed. */
  refused: number;
  /** Requests that were told to come later. */
  unavailable: number;
}

/** Somebody saw plaintext: the record must say so. */
interface Shown {
  readonly name: string;
  readonly digests: readonly string[];
  /** Of another namespace than the one asked for, closed in spite of the right: the record must say that they failed. */
  readonly failed: number;
}

/** All deadlines of a request, one after the other, and time for a busy machine. */
const ANSWERED_WITHIN_MS = MAX_WAIT_MS + CALLER_DEADLINE_MS + RECORD_DEADLINE_MS + 4_000;
const LATER = [429, 503];

export class Oracle {
  readonly counts: Counts = { asked: 0, opened: 0, withheld: 0, refused: 0, unavailable: 0 };
  /** What must never have happened, in sentences. */
  readonly violations: string[] = [];
  readonly #rights: Rights;
  readonly #staleMs: number;
  readonly #shown = new Map<string, Shown>();

  /** @param staleMs - how old the roles may be that a decision rests on. */
  constructor(rights: Rights, staleMs: number) {
    this.#rights = rights;
    this.#staleMs = staleMs;
  }

  judge(asked: Asked, answer: Answer): void {
    const { counts } = this;
    counts.asked += 1;
    if (answer.tookMs > ANSWERED_WITHIN_MS) this.#tell(asked, answer, `${Math.round(answer.tookMs)} ms`);
    if (answer.status === 200) this.#judgePayloads(asked, answer);
    else if (asked.sealed.some(({ text }) => shows(answer, text)))
      this.#tell(asked, answer, 'with plaintext');
    else if (LATER.includes(answer.status)) counts.unavailable += 1;
    else this.#judgeRefusal(asked, answer);
  }

  /** A request without an answer. */
  unanswered({ caller, namespace }: Asked, error: unknown): void {
    this.violations.push(`${caller.name} in ${namespace}: no answer: ${String(error)}`);
  }

  /** Compares what was seen with what is on record. @param files - of the whole record. */
  async compareWith(files: readonly string[]): Promise<void> {
    for (const file of files) {
      for await (const line of createInterface({ input: createReadStream(file) })) {
        keepStream('stress-record', `${line}\n`);
        const read = readLine(line);
        if (read !== undefined) this.#read(read);
      }
    }
    for (const [id, { name }] of this.#shown) this.violations.push(`${name} read ${id} without a record`);
  }

  #judgePayloads(asked: Asked, answer: Answer): void {
    const { caller, sealed } = asked;
    if (answer.data.length !== sealed.length) this.#tell(asked, answer, 'with other payloads');
    const opened = sealed.filter(({ text }, index) => answer.data[index]?.equals(plainBytes(text)));
    const kept = sealed.filter(({ payload }, index) => answer.data[index]?.equals(bytesOf(payload)));
    if (opened.length + kept.length !== sealed.length) this.#tell(asked, answer, 'with data of nobody');
    const sinceMs = asked.atMs - this.#staleMs;
    for (const { namespace } of opened)
      if (!this.#rights.heldSomeTime(caller.name, namespace, sinceMs))
        this.#tell(asked, answer, `a payload of ${namespace} without a right`);
    const closed = kept.filter(({ namespace }) =>
      this.#rights.heldAllTheTime(caller.name, namespace, sinceMs),
    );
    const others = closed.filter(({ namespace }) => namespace !== asked.namespace);
    if (closed.length > others.length || (closed.length > 0 && opened.length === 0))
      this.#tell(asked, answer, 'closed payloads in spite of the right');
    this.counts.opened += opened.length;
    this.counts.withheld += kept.length;
    if (opened.length === 0) return;
    const id = answer.headers.get('x-request-id') ?? '';
    this.#shown.set(id, { name: caller.name, digests: opened.map(digestOf), failed: others.length });
  }

  /** An outage is no reason to say that somebody has no right. Who may open none of the payloads is refused too. */
  #judgeRefusal(asked: Asked, answer: Answer): void {
    const { caller, namespace, sealed, atMs } = asked;
    this.counts.refused += 1;
    if (!caller.refusedWith.includes(answer.status)) this.#tell(asked, answer, 'which nobody may be told');
    const held = (one: string): boolean =>
      this.#rights.heldAllTheTime(caller.name, one, atMs - this.#staleMs);
    if (!caller.byConfiguration && held(namespace) && sealed.some((one) => held(one.namespace)))
      this.#tell(asked, answer, 'in spite of the right');
  }

  #read({ http_request, status_code, http_response, actor, unmapped }: RecordLine): void {
    const shown = this.#shown.get(http_request?.uid ?? '');
    if (shown === undefined || http_request === undefined) return;
    const { uid, email_addr } = actor?.user ?? {};
    const { digests = [], payloads, decisionAgeMs = 0 } = unmapped;
    const wrong = {
      outcome: status_code !== 'ok' || http_response?.code !== 200,
      who: (email_addr ?? uid) !== shown.name,
      payloads: payloads?.opened !== shown.digests.length,
      digests: shown.digests.some((digest) => !digests.includes(digest)),
      'what failed': (payloads?.failed ?? 0) < shown.failed,
      [`decisionAgeMs ${decisionAgeMs}`]: decisionAgeMs > this.#staleMs,
    };
    for (const [what, is] of Object.entries(wrong))
      if (is) this.violations.push(`${shown.name} read ${http_request.uid}: the record is wrong in ${what}`);
    this.#shown.delete(http_request.uid);
  }

  #tell({ caller, namespace }: Asked, { status, error, headers }: Answer, what: string): void {
    const id = headers.get('x-request-id') ?? 'no id';
    this.violations.push(`${caller.name} in ${namespace} (${id}): ${status} ${error.code ?? ''} ${what}`);
  }
}

/** Of a line of the record (docs/audit.md): what is compared. */
interface RecordLine {
  readonly status_code: string;
  readonly http_request?: { readonly uid: string };
  readonly http_response?: { readonly code: number };
  readonly actor?: { readonly user?: { readonly uid: string; readonly email_addr?: string } };
  readonly unmapped: {
    readonly decisionAgeMs?: number;
    readonly payloads?: { readonly opened: number; readonly failed: number };
    readonly digests?: readonly string[];
  };
}

/** `undefined` where it was torn; whether it may have been is for `audit verify` to say. */
function readLine(line: string): RecordLine | undefined {
  try {
    return JSON.parse(line) as RecordLine;
  } catch {
    return undefined;
  }
}

function plainBytes(text: string): Buffer {
  return Buffer.from(JSON.stringify(text));
}

function bytesOf({ data }: Payload): Buffer {
  return Buffer.from(data ?? []);
}

function digestOf({ payload }: Sealed): string {
  return createHash('sha256').update(bytesOf(payload)).digest('hex');
}
