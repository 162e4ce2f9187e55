// The commands about who may do what, and their options.
import { Argument, InvalidArgumentError, Option, type Command } from 'commander';
import { ACTIONS, type Action } from '../access/policy.js';
import { isCredentialName } from '../access/tokens/credentials.js';
import { endOfDay } from '../config/reading/day.js';
import { isEmail } from '../config/sections/vouching.js';
import { isDay } from '../keys/foreign-reads.js';
import { CONFIG_OPTION, type ConfigFlags } from './config-option.js';
import type { ExplainOptions } from './explain.js';

interface ExplainFlags extends ConfigFlags {
  readonly as?: string;
  readonly credential?: string;
}

export function addAccessCommands(program: Command, done: (code: number) => void): void {
  program
    .command('who-can')
    .description('tell everybody who may do something in a namespace, and by which rule')
    .addArgument(new Argument('<action>').choices(ACTIONS))
    .argument('<namespace>')
    .option(...CONFIG_OPTION)
    .action(async (action: Action, namespace: string, { config }: ConfigFlags) => {
      done(await (await import('./who-can.js')).whoCan({ action, namespace, file: config }));
    });
  program
    .command('explain')
    .description('tell whether somebody may do something in a namespace, and why')
    .addArgument(new Argument('<action>').choices(ACTIONS))
    .argument('<namespace>')
    .option('--as <email>', 'whom to ask about, by the e-mail of their token', email)
    .addOption(
      new Option('--credential <name>', 'or which program, by its name in access.credentials').conflicts(
        'as',
      ),
    )
    .option(...CONFIG_OPTION)
    .action(async (action: Action, namespace: string, flags: ExplainFlags, command: Command) => {
      const whom = whomOf(flags, command);
      done(await (await import('./explain.js')).explain({ whom, action, namespace, file: flags.config }));
    });
  program
    .command('credential')
    .description('secrets for programs that cannot sign in')
    .command('create')
    .description('make a secret, show it once, and tell what the configuration needs')
    .argument('<name>', 'how the record names it', credentialName)
    .requiredOption('--role <role...>', 'ROLE@NAMESPACE, or account:ROLE')
    .requiredOption('--expires <day>', 'the last day it counts, such as 2027-06-30', lastDay)
    .action(async (name: string, { role, expires }: { role: string[]; expires: string }) => {
      done((await import('./credential.js')).createCredential({ name, roles: role, expires }));
    });
}

function whomOf({ as, credential }: ExplainFlags, command: Command): ExplainOptions['whom'] {
  if (as !== undefined) return { email: as };
  if (credential !== undefined) return { credential };
  return command.error('error: whom to ask about is missing: --as EMAIL, or --credential NAME');
}

function email(text: string): string {
  if (isEmail(text)) return text;
  throw new InvalidArgumentError('an e-mail is written as rita@example.com.');
}

function credentialName(text: string): string {
  if (isCredentialName(text)) return text;
  throw new InvalidArgumentError('a name is letters, digits, ".", "_" and "-".');
}

function lastDay(text: string): string {
  if (!isDay(text)) throw new InvalidArgumentError('a day is written as 2027-06-30.');
  if (Date.now() >= endOfDay(text)) throw new InvalidArgumentError('the day has passed.');
  return text;
}
