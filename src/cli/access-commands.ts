// The commands about who may do what, and their options.
import { Argument, InvalidArgumentError, type Command } from 'commander';
import { ACTIONS, type Action } from '../access/policy.js';
import { isCredentialName } from '../access/tokens/credentials.js';
import { isDay } from '../keys/foreign-reads.js';

const CONFIG_OPTION = [
  '-c, --config <file>',
  'configuration file (default: $KEYHOLE_CONFIG, then keyhole.yaml if it exists)',
] as const;

export function addAccessCommands(program: Command, done: (code: number) => void): void {
  program
    .command('who-can')
    .description('tell everybody who may do something in a namespace, and by which rule')
    .addArgument(new Argument('<action>').choices(ACTIONS))
    .argument('<namespace>')
    .option(...CONFIG_OPTION)
    .action(async (action: Action, namespace: string, { config }: { config?: string }) => {
      done(await (await import('./who-can.js')).whoCan({ action, namespace, file: config }));
    });
  program
    .command('explain')
    .description('tell whether somebody may do something in a namespace, and why')
    .addArgument(new Argument('<action>').choices(ACTIONS))
    .argument('<namespace>')
    .requiredOption('--as <email>', 'whom to ask about')
    .option(...CONFIG_OPTION)
    .action(async (action: Action, namespace: string, { as, config }: { as: string; config?: string }) => {
      done(await (await import('./explain.js')).explain({ as, action, namespace, file: config }));
    });
  program
    .command('credential')
    .description('secrets for programs that cannot sign in')
    .command('create')
    .description('make a secret, show it once, and tell what the configuration needs')
    .argument('<name>', 'how the record names it', credentialName)
    .requiredOption('--role <role...>', 'ROLE@NAMESPACE, or account:ROLE')
    .requiredOption('--expires <day>', 'the last day it counts, such as 2027-06-30', day)
    .action(async (name: string, { role, expires }: { role: string[]; expires: string }) => {
      done((await import('./credential.js')).createCredential({ name, roles: role, expires }));
    });
}

function credentialName(text: string): string {
  if (isCredentialName(text)) return text;
  throw new InvalidArgumentError('a name is letters, digits, ".", "_" and "-".');
}

function day(text: string): string {
  if (isDay(text)) return text;
  throw new InvalidArgumentError('a day is written as 2027-06-30.');
}
