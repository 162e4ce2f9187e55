// A log that a test reads, and that the end of the run searches for secrets.
import type { AccessLogger } from '../../../src/access/logger.js';
import { keepStream } from '../../streams.js';

export class KeptLog implements AccessLogger {
  readonly lines: string[] = [];

  info(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#keep(fields, message);
  }

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#keep(fields, message);
  }

  get text(): string {
    return this.lines.join('\n');
  }

  #keep(fields: Readonly<Record<string, unknown>>, message: string): void {
    const line = `${message} ${JSON.stringify(fields)}`;
    this.lines.push(line);
    keepStream('access-log', `${line}\n`);
  }
}
