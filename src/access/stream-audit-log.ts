// The record on a stream, such as stdout for a collector: as durable as whoever reads it makes it.
import type { Writable } from 'node:stream';
import type { AuditEvent, AuditLog } from './audit-log.js';
import { requestLine } from './audit-record.js';
import { systemClock, type Clock } from './clock.js';
import { GroupCommit, Refusals } from './group-commit.js';

export interface StreamAuditOptions {
  /** How long the stream may take to accept a record. Default is 1 s. */
  readonly deadlineMs?: number;
  /** Default is the system's. */
  readonly clock?: Clock;
}

/** The stream stays its owner's, who closes it. */
export class StreamAuditLog implements AuditLog {
  readonly #clock: Clock;
  readonly #commits: GroupCommit;

  constructor(stream: Writable, { deadlineMs = 1_000, clock = systemClock }: StreamAuditOptions = {}) {
    this.#clock = clock;
    // a reader that went away shows in the answer to the write; without a listener it would end the process
    stream.on('error', () => undefined);
    this.#commits = new GroupCommit({
      commit: (lines) => flushed(stream, lines),
      refusals: new Refusals(),
      deadlineMs,
      clock,
    });
  }

  /** Resolves once the operating system has taken the record over. */
  async append(event: AuditEvent): Promise<void> {
    await this.#commits.append(requestLine(event, this.#clock.wall()));
  }

  /** There is nothing to open. */
  reopen(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#commits.settled();
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
