// One chain in one file that only grows; after anything went wrong a new chain begins in a new file.
import type { Stats } from 'node:fs';
import { chmod, link, lstat, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AuditChain } from './chain.js';
import type { AuditFileHandle, OpenAuditFile } from './file-handle.js';
import { startRecord, type AuditRecord, type ChainCause, type ChainWriter, type Link } from './record.js';
import { archivedName, lastLinkIn } from './tail.js';

export interface AuditFilePlace {
  readonly path: string;
  readonly open: OpenAuditFile;
  /** What the first record of each chain says of its writer. */
  readonly writer: () => ChainWriter;
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
  /** Told of lines once they are durable. */
  readonly onLines?: OnLines;
}

/** @param lines - each with its newline. */
export type OnLines = (lines: Uint8Array, count: number) => void;

interface Writing {
  readonly handle: AuditFileHandle;
  readonly chain: AuditChain;
  /** Bytes that we wrote: all that may be there. */
  size: number;
}

export class AuditFile {
  readonly #place: AuditFilePlace;
  /** `undefined` after something went wrong. */
  #writing: Writing | undefined;
  #last: Link | undefined;

  private constructor(place: AuditFilePlace, last: Link | undefined) {
    this.#place = place;
    this.#last = last;
  }

  /**
   * Begins a chain at the path. What lies there is kept under the name of its own chain.
   *
   * @param last - the last line of the chain before, if it is known; else what lies there is asked.
   * @throws Error if the file cannot be made and synced; then what lay there still does. If only its name may not be
   * durable, it is answered nevertheless: the next record begins another one.
   */
  static async begin(place: AuditFilePlace, cause: ChainCause, last?: Link): Promise<AuditFile> {
    const file = new AuditFile(place, last);
    try {
      await file.#begin(cause, await lyingAt(place.path), []);
    } catch (error) {
      const hasName = file.#last !== last;
      if (!hasName) throw error;
    }
    return file;
  }

  /** False after something went wrong, and while a new chain is begun. */
  get isWriting(): boolean {
    return this.#writing !== undefined;
  }

  /** The last line that is durable, or that later chains have to name. */
  get last(): Link | undefined {
    return this.#last;
  }

  /**
   * Resolves once the records are durable. After a failure they begin a new chain in a new file, unless somebody
   * removed the file: whoever did so brings it back. That somebody else wrote to the file, or cut it, is a failure too.
   *
   * @throws Error if they may not be durable.
   */
  readonly append = async (records: readonly AuditRecord[]): Promise<void> => {
    if (this.#writing === undefined) {
      await this.#begin('failure', await stat(this.#place.path), records);
      return;
    }
    const { handle, chain } = this.#writing;
    const lines = chain.lines(records);
    this.#writing.size += lines.length;
    try {
      await writeAll(handle, lines);
      await handle.datasync();
      await assertOurs(this.#writing);
      this.#last = chain.last;
      this.#place.onLines?.(lines, records.length);
    } catch (error) {
      this.#writing = undefined;
      handle.close().catch(() => undefined);
      throw error;
    }
  };

  /** Whether the file that is written lies at the path. */
  async isInPlace(): Promise<boolean> {
    if (this.#writing === undefined) return false;
    const own = await this.#writing.handle.stat();
    const there = await lyingAt(this.#place.path);
    return there !== undefined && sameFile(own, there);
  }

  async close(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    await writing?.handle.close();
  }

  /**
   * The new file is whole and durable before it takes the old one's name, so that no crash leaves anything between. Until
   * then its name is its own: somebody else who begins at the same path writes to another one.
   */
  async #begin(cause: ChainCause, there: Stats | undefined, records: readonly AuditRecord[]): Promise<void> {
    if (there !== undefined) assertFile(there);
    else await assertNoLink(this.#place.path);
    const path = there === undefined ? this.#place.path : await realpath(this.#place.path);
    const before = there === undefined ? undefined : await lastLinkIn(path);
    const { writer, wall } = this.#place;
    const chain = new AuditChain();
    const start = startRecord({ ...writer(), cause, after: this.#last ?? before }, wall());
    const fresh = `${path}.${chain.id}.new`;
    const lines = chain.lines([start, ...records]);
    const directory = await open(dirname(path), 'r'); // while nothing has a new name yet
    try {
      const handle = await this.#place.open(fresh);
      try {
        await writeAll(handle, lines);
        if (there !== undefined) await chmod(fresh, there.mode & 0o777);
        await handle.datasync();
        await keepWhatLies(path, there, before?.chain);
        await rename(fresh, path);
        this.#last = chain.last; // whatever fails now: the next chain has to name this one
        await directory.sync(); // a file's name is as durable as its directory
      } catch (error) {
        handle.close().catch(() => undefined);
        unlink(fresh).catch(() => undefined);
        throw error;
      }
      this.#writing = { handle, chain, size: lines.length };
    } finally {
      await directory.close();
    }
    this.#place.onLines?.(lines, 1 + records.length);
  }
}

/** @throws Error of the system, but for what is not there. */
async function lyingAt(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What would take the name of a link to nothing lies elsewhere than the link says. */
async function assertNoLink(path: string): Promise<void> {
  const link = await lstat(path).catch(() => undefined);
  if (link === undefined) return;
  throw Object.assign(new Error('ENOENT: the audit log is a link to nothing'), { code: 'ENOENT' });
}

/** What is no file must not be renamed away. */
function assertFile(there: Stats): void {
  if (there.isFile()) return;
  const code = there.isDirectory() ? 'EISDIR' : 'EINVAL';
  throw Object.assign(new Error(`${code}: the audit log needs a file`), { code });
}

/** @param chain - of what lay there when it was looked at; meanwhile somebody else may have begun there. */
async function keepWhatLies(path: string, seen: Stats | undefined, chain: string | undefined): Promise<void> {
  const there = await lyingAt(path);
  if (there === undefined || there.size === 0) return;
  const isSame = seen !== undefined && sameFile(seen, there);
  await keepUnder(archivedName(path, isSame ? chain : undefined), path);
}

/**
 * A second name first: at no moment is there none. A crash in between has left that name already; where it is another
 * file's, as of a copy that somebody put back, the name is one of chance.
 */
async function keepUnder(name: string, path: string): Promise<void> {
  try {
    await link(path, name);
  } catch (error) {
    const [kept, there] = await Promise.all([lyingAt(name), stat(path)]);
    if (kept === undefined) throw error;
    if (!sameFile(kept, there)) await link(path, archivedName(path));
  }
}

function sameFile(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

async function writeAll(handle: AuditFileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await handle.write(bytes, at);
}

/** What was removed under us takes what we write with it; what was only renamed does not. */
async function assertOurs({ handle, size }: Writing): Promise<void> {
  const there = await handle.stat();
  if (there.nlink === 0) throw new Error('the audit file was removed');
  if (there.size !== size) throw new Error('the audit file was changed by somebody else');
}
