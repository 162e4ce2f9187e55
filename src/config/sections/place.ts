// What every section of a configuration is read with.
import { resolve } from 'node:path';
import type { Environment } from '../environment.js';
import type { Problems } from '../reading/problems.js';

export interface Place {
  readonly env: Environment;
  /** Relative paths of the file are relative to its directory. */
  readonly fileDirectory: string;
  /** Relative paths of the environment are relative to this one. */
  readonly cwd: string;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly problems: Problems;
  readonly warnings: string[];
}

/** An absolute path for one that the file gives. */
export function fileIn({ fileDirectory }: Place, path: string): string {
  return resolve(fileDirectory, path);
}
