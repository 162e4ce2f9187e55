// The record on a stream, such as stdout for a collector: as durable as whoever reads it makes it.
import type { Writable } from 'node:stream';
import { systemClock, type Clock } from '../../clock.js';
import type { AuditEvent, AuditLog, MoreSoon, Visit } from './audit-log.js';
import { AuditChain } from './chain.js';
import { Checkpoints, type CheckpointOptions } from './checkpoints.js';
import { GroupCommit, Refusals } from './group-commit.js';
import {
  configurationRecord,
  requestRecord,
  startRecord,
  type AuditRecord,
  type ChainCause,
  type ChainWriter,
  type Link,
} from './record.js';
import { StrangerRefusals, type StrangerRefusal } from './stranger-refusals.js';
import { visitRecord } from './visit-record.js';

export interface StreamAuditOptions extends CheckpointOptions {
  /** What the first record of each chain says of its writer. */
  readonly writer: ChainWriter;
  /** How long the stream may take to accept a record. Default is 1 s. */
  readonly deadlineMs?: number;
  /** Default is the system's. */
  readonly clock?: Clock;
  /** How often refusals of strangers are told. Default is 60 s. */
  readonly strangersMs?: number;
}

/** The stream stays its owner's, who closes it. A chain begins with the first record, and after each failure. */
export class StreamAuditLog implements AuditLog {
  readonly #stream: Writable;
  #writer: ChainWriter;
  readonly #clock: Clock;
  readonly #commits: GroupCommit;
  readonly #checkpoints: Checkpoints;
  readonly #strangers: StrangerRefusals;
  #chain: AuditChain | undefined;
  #cause: ChainCause = 'start';
  #last: Link | undefined;
  /** The record names a configuration that is not used: its line came after it was refused. */
  #misnames = false;

  constructor(stream: Writable, options: StreamAuditOptions) {
    const { writer, deadlineMs = 1_000, clock = systemClock, strangersMs } = options;
    this.#stream = stream;
    this.#writer = writer;
    this.#clock = clock;
    // a reader that went away shows in the answer to the write; without a listener it would end the process
    stream.on('error', () => undefined);
    const commit = (records: readonly AuditRecord[]): Promise<void> => this.#commit(records);
    this.#commits = new GroupCommit({ commit, refusals: new Refusals(), deadlineMs, clock });
    this.#checkpoints = new Checkpoints(() => this.#last, options);
    this.#strangers = new StrangerRefusals({
      clock,
      write: (record) => this.#commits.append(record, { requests: 0 }),
      ...(strangersMs !== undefined && { everyMs: strangersMs }),
    });
  }

  /** Resolves once the operating system has taken the record over. */
  async append(event: AuditEvent, moreSoon?: MoreSoon): Promise<void> {
    await this.#commits.append(requestRecord(event, this.#clock.wall()), { moreSoon });
  }

  async appendVisit(visit: Visit): Promise<void> {
    await this.#commits.append(visitRecord(visit, this.#clock.wall()));
  }

  async configured(digest: string | undefined): Promise<void> {
    const onLate = (): void => {
      this.#misnames = true;
    };
    await this.#commits.append(configurationRecord(digest, this.#clock.wall()), { requests: 0, onLate });
    this.#writer = { ...this.#writer, configuration: digest };
  }

  refused(refusal: StrangerRefusal): void {
    this.#strangers.add(refusal);
  }

  /** There is nothing to open. */
  reopen(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#strangers.end();
    for (const record of this.#corrections())
      await this.#commits.append(record, { requests: 0 }).catch(() => undefined);
    await this.#commits.end();
    this.#checkpoints.end();
  }

  async #commit(records: readonly AuditRecord[]): Promise<void> {
    const chain = this.#chain ?? new AuditChain();
    const start = this.#chain === undefined ? [this.#startRecord()] : [];
    this.#chain = chain;
    try {
      await flushed(this.#stream, chain.lines([...start, ...this.#corrections(), ...records]));
      this.#last = chain.last;
    } catch (error) {
      this.#chain = undefined;
      this.#cause = 'failure';
      throw error;
    }
  }

  /** What the next write has to say first; where it fails, the chain after it begins with the same. */
  #corrections(): AuditRecord[] {
    if (!this.#misnames) return [];
    this.#misnames = false;
    return [configurationRecord(this.#writer.configuration, this.#clock.wall())];
  }

  #startRecord(): AuditRecord {
    return startRecord({ ...this.#writer, cause: this.#cause, after: this.#last }, this.#clock.wall());
  }
}

function flushed(stream: Writable, lines: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(lines, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
