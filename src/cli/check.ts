// `keyhole check`: every mistake of the configuration, nothing started.
import { loadConfig } from '../config/load-config.js';
import { loadOptions, printProblems, type ConfigurationOptions } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { printable } from './printable.js';

export async function check(options: ConfigurationOptions): Promise<ExitCode> {
  const loaded = await loadConfig({ ...loadOptions(options), onFile });
  if ('problems' in loaded) {
    printProblems(loaded.problems, process.stdout);
    return EXIT.config;
  }
  for (const warning of loaded.config.warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stderr.write('the configuration is good\n');
  return EXIT.fine;
}

function onFile(name: string | undefined): void {
  const none = 'there is no keyhole.yaml here: the defaults are used';
  process.stderr.write(`${name === undefined ? none : `read ${printable(name)}`}\n`);
}
