// Reads a small file that the configuration names: bounded, a regular file, and where it is a secret one that is kept.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { isOpenToOthers } from '../../server/http/tls.js';

export type FileResult = { readonly text: string } | { readonly sentence: string };

export interface TextFileOptions {
  /** Whether it is refused where others can read it, or its group can write it. */
  readonly secret: boolean;
  /** Default is 64 KiB. */
  readonly maxBytes?: number;
}

export const NO_SUCH_FILE = 'there is no such file';

/** Answers the text, UTF-8, or what is wrong with the file in a sentence that does not name it. */
export async function readTextFile(
  path: string,
  { secret, maxBytes = 65_536 }: TextFileOptions,
): Promise<FileResult> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe would be waited for
    const { mode, size } = await file.stat().then((stats) => {
      if (!stats.isFile()) throw new NotAFile();
      return stats;
    });
    if (secret && isOpenToOthers(mode)) {
      return { sentence: 'the file can be read by others, or written by its group: chmod 600' };
    }
    if (size > maxBytes) return { sentence: `the file is larger than ${maxBytes} bytes` };
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile()) };
  } catch (error) {
    return { sentence: sentenceOf(error) };
  } finally {
    await file?.close();
  }
}

class NotAFile extends Error {}

function sentenceOf(error: unknown): string {
  if (error instanceof NotAFile) return 'is not a file';
  if (error instanceof TypeError) return 'the file is not text in UTF-8';
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENAMETOOLONG':
      return NO_SUCH_FILE;
    case 'EACCES':
    case 'EPERM':
      return 'the file may not be read by this user';
    case 'EISDIR':
      return 'is not a file';
    default:
      return `the file cannot be read (${code})`;
  }
}
