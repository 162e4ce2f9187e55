// What `serve` and `check` read: the file of the command line, this process's environment, and how it was started.
import type { LoadOptions } from '../config/load-config.js';
import { problemLine, type Problem } from '../config/reading/problems.js';

export interface ConfigurationOptions {
  /** As the command line gives it. */
  readonly file: string | undefined;
}

export function loadOptions({ file }: ConfigurationOptions): LoadOptions {
  const { env, execArgv, versions } = process;
  return { file, env, cwd: process.cwd(), process: { execArgv, nodeVersion: versions.node } };
}

export function printProblems(problems: readonly Problem[], stream: NodeJS.WritableStream): void {
  stream.write(problems.map((problem) => `${problemLine(problem)}\n`).join(''));
}
