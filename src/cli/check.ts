// `keyhole check`: every mistake of the configuration, nothing started.
import { loadConfig } from '../config/load-config.js';
import { loadOptions, printProblems, type ConfigurationOptions } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';

export async function check(options: ConfigurationOptions): Promise<ExitCode> {
  const loaded = await loadConfig(loadOptions(options));
  if ('problems' in loaded) {
    printProblems(loaded.problems, process.stdout);
    return EXIT.config;
  }
  for (const warning of loaded.config.warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stderr.write('the configuration is good\n');
  return EXIT.fine;
}
