// Reads a small file that the configuration names: bounded, a regular file, and where it is a secret one that is kept.
import { constants } from 'node:fs';
import { lstat, open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isOpenToOthers } from '../../server/http/tls.js';

export type FileResult = { readonly text: string } | { readonly sentence: string; readonly isThere: boolean };

export interface TextFileOptions {
  /** Whether it is refused where others can read it, or its group can write it. */
  readonly secret: boolean;
  /** Default is 64 KiB. */
  readonly maxBytes?: number;
  /**
   * Whether its path is told though nothing is there. Default is the directory alone: what stands in place of a path may
   * be a secret.
   */
  readonly tellsPath?: boolean;
}

/** Answers the text, UTF-8, or what is wrong with the file, by its absolute path. */
export async function readTextFile(
  path: string,
  { secret, maxBytes = 65_536, tellsPath = false }: TextFileOptions,
): Promise<FileResult> {
  const wrong = (sentence: string): FileResult => ({ sentence, isThere: true });
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe would be waited for
    const stats = await file.stat();
    if (!stats.isFile()) return wrong(`is not a file: ${path}`);
    if (secret && isOpenToOthers(stats.mode))
      return wrong(`the file ${path} can be read by others, or written by its group: chmod 600`);
    if (stats.size > maxBytes) return wrong(`the file ${path} is larger than ${maxBytes} bytes`);
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(await file.readFile()) };
  } catch (error) {
    if (error instanceof TypeError) return wrong(`the file ${path} is not text in UTF-8`);
    return await unread(error, path, tellsPath);
  } finally {
    await file?.close();
  }
}

/** A file that cannot be opened or read. */
async function unread(error: unknown, path: string, tellsPath: boolean): Promise<FileResult> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(code)) {
    const where = tellsPath ? `: ${path}` : ` in ${await directoryThere(path)}`;
    return { sentence: `there is no such file${where}`, isThere: false };
  }
  const file = tellsPath || (await isThere(path)) ? path : `in ${await directoryThere(path)}`;
  if (code === 'EISDIR') return { sentence: `is not a file: ${path}`, isThere: true };
  const sentence = ['EACCES', 'EPERM'].includes(code)
    ? `the file ${file} may not be read by this user`
    : `the file ${file} cannot be read (${code})`;
  return { sentence, isThere: true };
}

/** The last of its directories that is there. */
async function directoryThere(path: string): Promise<string> {
  const directory = dirname(path);
  return directory === path || (await isThere(directory)) ? directory : directoryThere(directory);
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
