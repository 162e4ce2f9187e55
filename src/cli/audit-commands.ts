// The command line of `keyhole audit`.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { REPORTS } from '../access/audit/report.js';
import type { ReportOptions } from './audit.js';

interface VerifyFlags {
  readonly checkpoint: readonly string[];
  readonly instances: number;
}

export function addAuditCommands(program: Command, done: (code: number) => void): void {
  const audit = program.command('audit').description('the record of who asked for what');
  audit
    .command('verify')
    .description('prove that no line was changed, dropped, added or moved; exit code 0 or 1')
    .argument('<file...>', 'files of the record, in any order')
    .option(
      '--checkpoint <checkpoint>',
      'a line known from elsewhere, as the log tells it: CHAIN:SEQUENCE:HASH; may be given more than once',
      (one: string, others: readonly string[]) => [...others, one],
      [],
    )
    .option('--instances <count>', 'how many servers wrote them, each its own chains', count, 1)
    .action(async (files: string[], { checkpoint, instances }: VerifyFlags) => {
      done(await (await import('./audit.js')).verify({ files, checkpoints: checkpoint, instances }));
    });
  audit
    .command('report')
    .description('who read what, how often, by which rule, how often they were refused, and who signed in')
    .argument('[file...]', 'files of the record (default: those of the configuration)')
    .option('--since <when>', 'a day or time, as 2026-11-24 or 2026-11-24T12:00:00Z, or an age, as 24h or 7d')
    .addOption(new Option('--by <what>', 'a line for each').choices(REPORTS).default('person'))
    .option('--json', 'as JSON')
    .option('-c, --config <file>', 'configuration file that names the record, where no file is given')
    .action(async (files: string[], options: Omit<ReportOptions, 'files'>) => {
      done(await (await import('./audit.js')).report({ files, ...options }));
    });
}

function count(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a count is a number from 1.');
}
