// The open audit file, written so that on Linux a record costs one turn of Node's thread pool.
import { constants, fstatSync, write, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';

/** What is used of an open file. */
export interface AuditFileHandle {
  /** Answers how many of the bytes from `offset` on were written. */
  write(bytes: Uint8Array, offset: number): Promise<number>;
  /** Resolves once what was written is durable. */
  datasync(): Promise<void>;
  stat(): Stats;
  close(): Promise<void>;
}

/** Makes `path` (mode 0600), at which nothing may lie, and opens it to append. A seam for tests. */
export type OpenAuditFile = (path: string) => Promise<AuditFileHandle>;

const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL;

/**
 * With `O_DSYNC` Linux answers a write as if `fdatasync` had followed it (open(2)). Elsewhere it may leave the bytes in
 * the cache of the drive, or not be there.
 */
const WRITES_ARE_DURABLE = process.platform === 'linux';

export const openForAppending: OpenAuditFile = async (path) => {
  const file = await open(path, WRITES_ARE_DURABLE ? FLAGS | constants.O_DSYNC : FLAGS, 0o600);
  const { fd } = file;
  let writing: Promise<unknown> = Promise.resolve();
  return {
    write: (bytes, offset) => {
      const written = writeFrom(fd, bytes, offset);
      writing = written.catch(() => undefined);
      return written;
    },
    datasync: () => (WRITES_ARE_DURABLE ? Promise.resolve() : file.datasync()),
    // of an open file the system answers from memory, at once
    stat: () => fstatSync(fd),
    close: async () => {
      // a write that waits for its turn has only the number, which is another file's once this one is closed
      await writing;
      await file.close();
    },
  };
};

/** The method of Node's own `FileHandle` costs twice as much. */
function writeFrom(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, offset, bytes.length - offset, null, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}
