// What `who-can` and `explain` share: decisions by the configuration, as the server makes them.
import type { Action, Decision } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { CREDENTIAL_ISSUER } from '../access/tokens/credentials.js';
import { asciiLowerCase } from '../access/tokens/issuer-options.js';
import { openAuthorization, type Authorization } from '../config/assemble.js';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load-config.js';
import { createLog } from '../config/logger.js';
import { isKeyholeError } from '../errors.js';
import { loadOptions, printProblems, type ConfigurationOptions } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { printable } from './printable.js';

export interface Question extends ConfigurationOptions {
  readonly action: Action;
  readonly namespace: string;
}

/** Lists of 300 pages are through by then, unless the API is down. */
const DEADLINE_MS = 60_000;

/** Prints the lines that `answer` resolves to. What cannot be asked now is a failure, never an answer. */
export async function withAuthorization(
  options: ConfigurationOptions,
  answer: (authorization: Authorization, config: Config, signal: AbortSignal) => Promise<readonly string[]>,
): Promise<ExitCode> {
  const loaded = await loadConfig(loadOptions(options));
  if ('problems' in loaded) {
    printProblems(loaded.problems, process.stderr);
    return EXIT.config;
  }
  const { config } = loaded;
  const { logger, flush } = createLog(config.logLevel, 2);
  const authorization = openAuthorization(config, logger);
  try {
    const lines = await answer(authorization, config, AbortSignal.timeout(DEADLINE_MS));
    process.stdout.write(lines.map((line) => `${printable(line)}\n`).join(''));
    return EXIT.fine;
  } catch (error) {
    if (!isKeyholeError(error)) throw error;
    process.stderr.write(`${error.message}\n`);
    return EXIT.failed;
  } finally {
    authorization.close();
    flush();
  }
}

/** Somebody whose token has this e-mail, and nothing else that would give roles. */
export function personOf(email: string): Principal {
  const [subject, issuer] = ['somebody', 'any'];
  return {
    subject,
    issuer,
    email: asciiLowerCase(email),
    method: 'bearer',
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
}

export function programOf({
  name,
  expiresAtMs,
}: {
  readonly name: string;
  readonly expiresAtMs: number;
}): Principal {
  return { subject: name, issuer: CREDENTIAL_ISSUER, email: undefined, method: 'credential', expiresAtMs };
}

/** Why: the rule, the role and where the role comes from; or what is missing. */
export function reason(decision: Decision): string {
  const from = `from ${decision.source}`;
  return decision.allowed
    ? `access.rules[${decision.rule}] allows it to ${decision.role}, ${from}`
    : `${decision.message} (${decision.code}, ${from})`;
}
