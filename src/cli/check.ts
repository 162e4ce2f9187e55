// `keyhole check`: every mistake of the configuration, nothing started.
import { loadConfig } from '../config/load-config.js';
import { problemLine } from '../config/problems.js';
import { EXIT, type ExitCode } from './exit-codes.js';

export async function check({ file }: { readonly file: string | undefined }): Promise<ExitCode> {
  const { execArgv, versions } = process;
  const loaded = await loadConfig({
    file,
    env: process.env,
    cwd: process.cwd(),
    process: { execArgv, nodeVersion: versions.node },
  });
  if ('problems' in loaded) {
    process.stdout.write(loaded.problems.map((problem) => `${problemLine(problem)}\n`).join(''));
    return EXIT.config;
  }
  for (const warning of loaded.config.warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stderr.write('the configuration is good\n');
  return EXIT.fine;
}
