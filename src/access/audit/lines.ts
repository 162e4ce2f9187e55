// The files of a record, each once, and their lines, in bounded memory.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

/** More than a line may have: beyond it is no line of ours. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export interface FileLine {
  readonly bytes: Uint8Array;
  /** Ended by a newline. */
  readonly whole: boolean;
}

/**
 * The files without those that are another one under a second name, as is left where a new file could not be begun.
 *
 * @throws Error of the system where one cannot be looked at.
 */
export async function eachOnce(files: readonly string[]): Promise<readonly string[]> {
  const byPlace = new Map<string, string>();
  for (const file of files) {
    const { dev, ino } = await stat(file, { bigint: true });
    const place = `${dev} ${ino}`;
    if (!byPlace.has(place)) byPlace.set(place, file);
  }
  return [...byPlace.values()];
}

/**
 * A line that is too long comes in parts, of which none is one.
 *
 * @throws Error of the system where the file cannot be read.
 */
export async function* linesOf(file: string): AsyncGenerator<FileLine> {
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    const bytes = Buffer.concat([rest, chunk as Buffer]);
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      yield { bytes: bytes.subarray(start, end), whole: true };
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length <= MAX_LINE_BYTES) continue;
    yield { bytes: rest, whole: true };
    rest = Buffer.alloc(0);
  }
  if (rest.length > 0) yield { bytes: rest, whole: false };
}
