// What `who-can` and `explain` share: decisions by the configuration, as the server makes them.
import type { Patience } from '../access/patience.js';
import type { Action, Decision } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { CREDENTIAL_ISSUER } from '../access/tokens/credentials.js';
import { asciiLowerCase } from '../access/tokens/issuer-options.js';
import { openAuthorization, type Authorization } from '../config/assemble.js';
import type { Config, CredentialConfig, IssuerConfig } from '../config/config.js';
import { loadConfig } from '../config/load-config.js';
import { isVouchedFor } from '../config/sections/vouching.js';
import { isKeyholeError } from '../errors.js';
import { Complaints } from './complaints.js';
import { loadOptions, printProblems, type ConfigurationOptions } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { printable } from './printable.js';

export interface Question extends ConfigurationOptions {
  readonly action: Action;
  readonly namespace: string;
}

/** Lists of 300 pages are through by then, unless the API is down. */
const DEADLINE_MS = 60_000;

/** The configuration shows that what was asked cannot be. */
export class WrongUsage extends Error {}

/**
 * Prints the lines that `answer` resolves to. What cannot be asked now is a failure, never an answer.
 *
 * @param answer - may throw `WrongUsage`.
 */
export async function withAuthorization(
  options: ConfigurationOptions,
  answer: (authorization: Authorization, config: Config, patience: Patience) => Promise<readonly string[]>,
): Promise<ExitCode> {
  const loaded = await loadConfig(loadOptions(options));
  if ('problems' in loaded) {
    printProblems(loaded.problems, process.stderr);
    return EXIT.config;
  }
  const { config } = loaded;
  const complaints = new Complaints();
  const authorization = openAuthorization(config, complaints.logger);
  try {
    const lines = await answer(authorization, config, { signal: AbortSignal.timeout(DEADLINE_MS) });
    print(process.stderr, complaints.warnings());
    print(process.stdout, lines);
    return EXIT.fine;
  } catch (error) {
    if (error instanceof WrongUsage) {
      print(process.stderr, [error.message]);
      return EXIT.usage;
    }
    if (!isKeyholeError(error)) throw error;
    print(process.stderr, [[error.message, ...complaints.firstReason()].join(': ')]);
    return EXIT.failed;
  } finally {
    authorization.close();
  }
}

/**
 * Somebody whose token has this e-mail, and nothing else that would give roles. Where no issuer vouches for it, it does
 * not count.
 */
export function personOf(email: string, issuers: readonly IssuerConfig[]): Principal {
  const [subject, issuer] = ['somebody', 'any'];
  return {
    subject,
    issuer,
    email: isVouchedFor(email, issuers) ? asciiLowerCase(email) : undefined,
    method: 'bearer',
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
}

export function programOf({ name, expiresAtMs }: CredentialConfig): Principal {
  return { subject: name, issuer: CREDENTIAL_ISSUER, email: undefined, method: 'credential', expiresAtMs };
}

export function hasExpired({ expiresAtMs }: CredentialConfig): boolean {
  return Date.now() >= expiresAtMs;
}

/** Why: the rule, the role and where the role comes from; or what is missing. */
export function reason(decision: Decision): string {
  const from = `from ${decision.source}`;
  return decision.allowed
    ? `access.rules[${decision.rule}] allows it to ${decision.role}, ${from}`
    : `${decision.message} (${decision.code}, ${from})`;
}

function print(stream: NodeJS.WritableStream, lines: readonly string[]): void {
  stream.write(lines.map((line) => `${printable(line)}\n`).join(''));
}
