// What lies at the place of the record: its last whole line, the name it is kept under, and what was kept.
import { randomBytes } from 'node:crypto';
import { open, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { readLine } from './chain.js';
import type { Link } from './record.js';

const CHUNK_BYTES = 64 * 1024;
/** What a crash can leave behind the last whole line; further back nothing is searched for. */
const MAX_TAIL_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;
/** As `archivedName` calls one. */
const CHAIN = /^(?:[0-9a-f]{24}|unknown-[0-9a-f]{12})$/;

/** `undefined` where no line at the end is one of a chain. What was cut by a crash is passed over. */
export async function lastLinkIn(path: string): Promise<Link | undefined> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    for (let bytes = CHUNK_BYTES; ; bytes *= 4) {
      const length = Math.min(bytes, size);
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
      const found = lastLineOf(buffer);
      if (found !== undefined || length === size || bytes > MAX_TAIL_BYTES) return found;
    }
  } finally {
    await file.close();
  }
}

/** Where what lies at `path` is kept: `audit.ndjson` becomes `audit-<chain id>.ndjson`. */
export function archivedName(path: string, chain = `unknown-${randomBytes(6).toString('hex')}`): string {
  const extension = extname(path);
  return join(dirname(path), `${basename(path, extension)}-${chain}${extension || '.ndjson'}`);
}

/** What lies at `path`, or where a link there leads, and what was kept from there; none that is not there. */
export async function filesOfRecord(path: string): Promise<string[]> {
  const real = await realpath(path).catch(() => path);
  const extension = extname(real);
  const [kept, end] = [`${basename(real, extension)}-`, extension || '.ndjson'];
  const isKept = (name: string): boolean =>
    name.startsWith(kept) && name.endsWith(end) && CHAIN.test(name.slice(kept.length, -end.length));
  return (await readdir(dirname(real)))
    .filter((name) => name === basename(real) || isKept(name))
    .sort()
    .map((name) => join(dirname(real), name));
}

function lastLineOf(tail: Buffer): Link | undefined {
  for (let end = tail.lastIndexOf(NEWLINE); end > 0;) {
    const before = tail.lastIndexOf(NEWLINE, end - 1);
    const read = readLine(tail.subarray(before + 1, end));
    if (read !== undefined) return read.link;
    end = before;
  }
  return undefined;
}
