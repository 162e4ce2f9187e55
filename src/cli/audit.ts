// `keyhole audit`: what the files of a record prove.
import { parseCheckpoint } from '../access/audit-checkpoints.js';
import { verifyAudit, type AuditMistake } from '../access/audit-verify.js';
import { EXIT, type ExitCode } from './exit-codes.js';

export interface VerifyOptions {
  readonly files: readonly string[];
  readonly checkpoints: readonly string[];
}

/** Mistakes and the verdict go to stdout, one line each. */
export async function verify({ files, checkpoints }: VerifyOptions): Promise<ExitCode> {
  const links = checkpoints.flatMap((text) => parseCheckpoint(text) ?? []);
  if (links.length < checkpoints.length) {
    process.stderr.write('--checkpoint: must be CHAIN:SEQUENCE:HASH, as the log tells it\n');
    return EXIT.usage;
  }
  try {
    const { lines, chains, mistakes, notes } = await verifyAudit(files, links);
    const verdict = `${lines} lines in ${chains} ${chains === 1 ? 'chain' : 'chains'}: `;
    const end = mistakes.length === 0 ? 'nothing was changed' : `${mistakes.length} mistakes`;
    const told = [...mistakes.map(mistakeLine), ...notes, verdict + end];
    process.stdout.write(told.map((line) => `${line}\n`).join(''));
    return mistakes.length === 0 ? EXIT.fine : EXIT.failed;
  } catch (error) {
    return unreadable(error);
  }
}

function mistakeLine({ file, line, sentence }: AuditMistake): string {
  return line === undefined ? `${file}: ${sentence}` : `${file}:${line}: ${sentence}`;
}

function unreadable(error: unknown): ExitCode {
  process.stderr.write(`${error instanceof Error ? error.message : 'a file cannot be read'}\n`);
  return EXIT.failed;
}
