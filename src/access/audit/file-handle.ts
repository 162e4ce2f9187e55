// The open audit file, written so that on Linux a record costs one turn of Node's thread pool.
import { constants, fstatSync, write, type Stats } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What is used of an open file. */
export interface AuditFileHandle {
  /** Answers how many of the bytes from `offset` on were written. */
  write(bytes: Uint8Array, offset: number): Promise<number>;
  /** Resolves once what was written is durable. */
  datasync(): Promise<void>;
  stat(): Stats | Promise<Stats>;
  /** Resolves once a write under way has ended too; none begins any more. */
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

/**
 * File systems of Linux that answer for an open file from memory, by their magic number (statfs(2), linux/magic.h): ext,
 * XFS, Btrfs, F2FS, tmpfs, overlayfs, ZFS. Others, as NFS or FUSE, may ask somebody, and hang.
 */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x794c7630, 0x2fc12fc1]);

export const openForAppending: OpenAuditFile = async (path) => {
  const isLocal = process.platform === 'linux' && LOCAL.has((await statfs(dirname(path))).type);
  const file = await open(path, WRITES_ARE_DURABLE ? FLAGS | constants.O_DSYNC : FLAGS, 0o600);
  const { fd } = file;
  let writing: Promise<unknown> = Promise.resolve();
  let isClosing = false;
  return {
    write: (bytes, offset) => {
      if (isClosing) return Promise.reject(new Error('the audit file is closed'));
      const written = writeFrom(fd, bytes, offset);
      writing = written.catch(() => undefined);
      return written;
    },
    datasync: () => (WRITES_ARE_DURABLE ? Promise.resolve() : file.datasync()),
    stat: () => (isLocal ? fstatSync(fd) : file.stat()),
    close: async () => {
      isClosing = true;
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
