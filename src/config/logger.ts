// The log: JSON lines on stderr, written a moment later, never at the cost of answering.
import { fstatSync } from 'node:fs';
import { destination, pino, type Logger } from 'pino';
import type { LogLevel } from './config.js';

export interface Log {
  readonly logger: Logger;
  /** Writes what is still waiting; call it before the process ends. */
  readonly flush: () => void;
}

/** Lines that may wait for a reader who does not keep up; beyond them lines are lost, not requests. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/** A write of its own for each line would cost more than all else that is done for a small request. */
const WRITTEN_TOGETHER_MS = 20;

/** What pino's types leave out: whether a write is waited for. */
type LogStream = ReturnType<typeof destination> & { sync?: boolean };

/**
 * @param dest - a file descriptor, or the path of a file.
 * @param mixin - what each line carries as well, asked when it is written.
 */
export function createLog(level: LogLevel, dest: number | string, mixin?: () => object): Log {
  const stream: LogStream = destination({ dest, sync: false, minLength: 0, maxLength: MAX_WAITING_BYTES });
  const isFile = typeof dest === 'string' || fstatSync(dest).isFile();
  outliveItsFile(stream);
  const lines = new Lines(stream);
  const common = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime };
  const logger = pino({ ...common, ...(mixin && { mixin }) }, lines);
  return {
    logger,
    flush: () => {
      // else what is handed over now is with another thread, and `flushSync` leaves it there; but a pipe may never take it
      stream.sync = isFile;
      lines.writeAll();
      stream.flushSync();
      stream.sync = false;
    },
  };
}

/** Lines that come together are written together. */
class Lines {
  readonly #stream: { write(text: string): unknown };
  #waiting = '';
  #due: NodeJS.Timeout | undefined;

  constructor(stream: { write(text: string): unknown }) {
    this.#stream = stream;
  }

  write(line: string): void {
    this.#waiting += line;
    this.#due ??= setTimeout(() => {
      this.writeAll();
    }, WRITTEN_TOGETHER_MS);
  }

  writeAll(): void {
    clearTimeout(this.#due);
    this.#due = undefined;
    const text = this.#waiting;
    this.#waiting = '';
    if (text !== '') this.#stream.write(text);
  }
}

/** A disk that is full must end neither the process nor, by a flush that tries for ever, keep it from ending. */
function outliveItsFile(stream: LogStream): void {
  let isBroken = false;
  stream.on('error', () => {
    isBroken = true;
  });
  stream.on('write', () => {
    isBroken = false;
  });
  const flushSync = stream.flushSync.bind(stream);
  stream.flushSync = () => {
    if (!isBroken) flushSync();
  };
}
