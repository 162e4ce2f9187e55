// The command line: which commands there are, and their options.
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../config/package-version.js';
import { addAuditCommands } from './audit-commands.js';
import { addAccessCommands } from './access-commands.js';
import { CONFIG_OPTION, type ConfigFlags } from './config-option.js';
import { EXIT } from './exit-codes.js';

/** Runs the command that the arguments name. Answers its exit code. */
export async function runCommand(args: readonly string[]): Promise<number> {
  let code: number = EXIT.fine;
  const program = programWith((result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    throw error;
  }
}

/** Each command is loaded when it is asked for: `keys generate` needs no server. */
function programWith(done: (code: number) => void): Command {
  const program = new Command('keyhole')
    .description('seals the payloads of Temporal workflows, and opens them for those who may read them')
    .version(packageVersion(), '-V, --version', 'print the version')
    .exitOverride()
    .showHelpAfterError('(keyhole --help tells more)');
  program
    .command('dev')
    .description('run everything on this machine, without accounts or a cloud, and show who sees what')
    .option('--once', 'end after the table; 1 if an answer was not as expected')
    .action(async ({ once = false }: { once?: boolean }) => {
      done(await (await import('./dev.js')).dev({ once }));
    });
  program
    .command('serve')
    .description('run the codec server')
    .option(...CONFIG_OPTION)
    .action(async ({ config }: ConfigFlags) => {
      done(await (await import('./serve.js')).serve({ file: config }));
    });
  program
    .command('check')
    .description('tell every mistake of the configuration; exit code 0 or 78')
    .option(...CONFIG_OPTION)
    .action(async ({ config }: ConfigFlags) => {
      done(await (await import('./check.js')).check({ file: config }));
    });
  program
    .command('keys')
    .description('local key files')
    .command('generate')
    .description('make a key file with one fresh key, readable by you alone')
    .argument('<file>', 'where to; a file that is there is never written over')
    .option('--id <id>', 'id of the key, recorded with every payload (default: local- and a random part)')
    .action(async (file: string, { id }: { id?: string }) => {
      done(await (await import('./keys.js')).generateKeys({ file, id }));
    });
  addAuditCommands(program, done);
  addAccessCommands(program, done);
  return program;
}
