// What of an error may stand in a log: names, codes, our own sentences and places in the code, never others' texts.
import { isKeyholeError } from '../../errors.js';

export interface LoggedError {
  readonly name: string;
  readonly code?: string;
  /** Only of our own errors: others may quote what they were given. */
  readonly message?: string;
  readonly at?: readonly string[];
  readonly cause?: LoggedError;
}

const MAX_CAUSES = 4;
const MAX_FRAMES = 8;

export function loggedError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { name: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const said = isKeyholeError(error) ? { message: error.message } : { at: frames(error) };
  const cause =
    error.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: loggedError(error.cause, depth + 1) };
  return { name: error.name, ...code, ...said, ...cause };
}

function frames({ stack = '' }: Error): string[] {
  return stack
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, MAX_FRAMES)
    .map((line) => line.trim());
}
