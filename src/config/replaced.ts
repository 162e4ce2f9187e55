// What reloads replaced, as long as requests in flight may still use it.
import type { Logger } from 'pino';
import { CALLER_DEADLINE_MS, REQUEST_TIMEOUT_MS } from '../server/limits.js';
import { loggedError } from '../server/telemetry/error-log.js';

/** Requests that were in flight at a reload have ended after this time. */
const IN_USE_MS = REQUEST_TIMEOUT_MS + 2 * CALLER_DEADLINE_MS;

interface Part {
  /** The record's file, where it is a log. */
  readonly file: string | undefined;
  /** Ends it once, however often it is called. */
  readonly end: () => Promise<void>;
}

export class Replaced {
  readonly #logger: Logger;
  readonly #parts = new Set<Part>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Ends it once requests in flight have ended.
   *
   * @param file - the record's, where it is a log.
   */
  add(end: () => void | Promise<void>, file?: string): void {
    let ending: Promise<void> | undefined;
    const part: Part = {
      file,
      end: () => {
        clearTimeout(timer);
        ending ??= Promise.resolve(end()).finally(() => this.#parts.delete(part));
        return ending;
      },
    };
    const timer = setTimeout(() => {
      part.end().catch((error: unknown) => {
        this.#logger.error({ error: loggedError(error) }, 'what a reload replaced did not end well');
      });
    }, IN_USE_MS);
    timer.unref();
    this.#parts.add(part);
  }

  /** Ends the logs that write to this file: ended, well or not, they write no more. */
  async endLogOf(file: string | undefined): Promise<void> {
    const logs = [...this.#parts].filter((part) => file !== undefined && part.file === file);
    await Promise.allSettled(logs.map(({ end }) => end()));
  }

  async endAll(): Promise<void> {
    await Promise.allSettled([...this.#parts].map(({ end }) => end()));
  }
}
