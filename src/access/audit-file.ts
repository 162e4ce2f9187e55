// One file that only grows: opened, written and synced, and opened anew after anything went wrong.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What is used of an open file. */
export type AuditFileHandle = Pick<FileHandle, 'read' | 'write' | 'datasync' | 'stat' | 'close'>;

/** Opens `path` to append; `create`: makes it (mode 0600) if it is not there. A seam for tests. */
export type OpenAuditFile = (path: string, create: boolean) => Promise<AuditFileHandle>;

/** `O_NONBLOCK`: a pipe in the file's place fails instead of hanging. */
const FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_NONBLOCK;
const NEWLINE = Buffer.from('\n');

export const openForAppending: OpenAuditFile = async (path, create) => {
  const handle = await open(path, create ? FLAGS | constants.O_CREAT : FLAGS, 0o600);
  if (create) await syncDirectory(dirname(path));
  return handle;
};

export class AuditFile {
  readonly #path: string;
  readonly #open: OpenAuditFile;
  /** `undefined` after something went wrong. */
  #handle: AuditFileHandle | undefined;
  /** Whether what the file ends with is no whole line: a crash or a full disk cut it. */
  #torn = false;

  private constructor(path: string, open: OpenAuditFile) {
    this.#path = path;
    this.#open = open;
  }

  /** @throws Error if the file cannot be opened, made or synced. */
  static async create(path: string, open: OpenAuditFile): Promise<AuditFile> {
    const file = new AuditFile(path, open);
    await file.#begin(true);
    return file;
  }

  /**
   * Resolves once the lines are durable. After a failure the file is opened anew (never made anew: whoever removed it
   * brings it back), and what was cut is ended with a newline.
   *
   * @throws Error if they may not be durable.
   */
  readonly append = async (lines: Buffer): Promise<void> => {
    const handle = this.#handle ?? (await this.#begin(false));
    try {
      await writeAll(handle, this.#torn ? Buffer.concat([NEWLINE, lines]) : lines);
      await handle.datasync();
      await assertThere(handle);
      this.#torn = false;
    } catch (error) {
      this.#handle = undefined;
      handle.close().catch(() => undefined);
      throw error;
    }
  };

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #begin(create: boolean): Promise<AuditFileHandle> {
    const handle = await this.#open(this.#path, create);
    try {
      await handle.datasync();
      this.#torn = await isTorn(handle);
    } catch (error) {
      handle.close().catch(() => undefined);
      throw error;
    }
    return (this.#handle = handle);
  }
}

/** A file's name is as durable as its directory. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function isTorn(handle: AuditFileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  return !last.equals(NEWLINE);
}

async function writeAll(handle: AuditFileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
}

/** What was removed under us takes what we write with it; what was only renamed does not. */
async function assertThere(handle: AuditFileHandle): Promise<void> {
  if ((await handle.stat()).nlink === 0) throw new Error('the audit file was removed');
}
