// `keyhole credential create`: a secret for a program, shown once.
import { grantProblem } from '../access/roles/grants.js';
import { createSecret } from '../access/tokens/credentials.js';
import { EXIT, type ExitCode } from './exit-codes.js';

export interface CreateCredentialOptions {
  readonly name: string;
  readonly roles: readonly string[];
  /** The last day it counts, such as `2027-06-30`. */
  readonly expires: string;
}

/** The secret goes to stdout, what the configuration needs to stderr. */
export function createCredential({ name, roles, expires }: CreateCredentialOptions): ExitCode {
  const problem = roles.map(grantProblem).find((sentence) => sentence !== undefined);
  if (problem !== undefined) {
    process.stderr.write(`--role: ${problem}\n`);
    return EXIT.usage;
  }
  const { secret, sha256 } = createSecret();
  const entry = { name, sha256, roles, expires };
  process.stdout.write(`${secret}\n`);
  process.stderr.write(
    'keep the secret: it is shown this once. Callers send it as "Authorization: Bearer …"; add to access.credentials:\n' +
      `- ${JSON.stringify(entry)}\n`,
  );
  return EXIT.fine;
}
