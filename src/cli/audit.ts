// `keyhole audit`: what the files of a record prove, and what they tell.
import { parseCheckpoint } from '../access/audit/checkpoints.js';
import { auditReport, type ReportBy, type ReportRow } from '../access/audit/report.js';
import { filesOfRecord } from '../access/audit/tail.js';
import { verifyAudit, type AuditMistake, type AuditVerdict } from '../access/audit/verify.js';
import { loadConfig } from '../config/load-config.js';
import { loadOptions, printProblems } from './configuration.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { printable } from './printable.js';

export interface VerifyOptions {
  readonly files: readonly string[];
  readonly checkpoints: readonly string[];
  /** How many servers wrote them. */
  readonly instances: number;
}

/** Mistakes and the verdict go to stdout, one line each. */
export async function verify({ files, checkpoints, instances }: VerifyOptions): Promise<ExitCode> {
  const links = checkpoints.flatMap((text) => parseCheckpoint(text) ?? []);
  if (links.length < checkpoints.length) {
    process.stderr.write('--checkpoint: must be CHAIN:SEQUENCE:HASH, as the log tells it\n');
    return EXIT.usage;
  }
  try {
    const verdict = await verifyAudit(files, links, instances);
    const told = [...verdict.mistakes.map(mistakeLine), ...verdict.notes, verdictLine(verdict)];
    process.stdout.write(told.map((line) => `${printable(line)}\n`).join(''));
    return verdict.mistakes.length === 0 ? EXIT.fine : EXIT.failed;
  } catch (error) {
    return unreadable(error);
  }
}

export interface ReportOptions {
  /** None: those of the configuration. */
  readonly files: readonly string[];
  readonly by: ReportBy;
  readonly since?: string;
  readonly json?: boolean;
  /** Path of the configuration file. */
  readonly config?: string;
}

/** A table, or with `json` a list of rows, goes to stdout. */
export async function report({ files, by, since, json = false, config }: ReportOptions): Promise<ExitCode> {
  const sinceMs = since === undefined ? 0 : momentOf(since, Date.now());
  if (sinceMs === undefined) {
    process.stderr.write('--since: must be a day or time, as 2026-11-24, or an age, as 24h or 7d\n');
    return EXIT.usage;
  }
  const named = files.length > 0 ? files : await configuredFiles(config);
  if (typeof named === 'number') return named;
  try {
    const { rows, skipped, missing } = await auditReport(named, { by, sinceMs });
    const rest = [...skippedLine(skipped), ...(files.length > 0 ? [] : foundLines(named, missing))];
    process.stderr.write(rest.map((line) => `${printable(line)}\n`).join(''));
    process.stdout.write(json ? `${JSON.stringify(rows)}\n` : table(by, rows));
    return EXIT.fine;
  } catch (error) {
    return unreadable(error);
  }
}

function skippedLine(skipped: number): string[] {
  if (skipped === 0) return [];
  return [`${skipped === 1 ? '1 line is no line' : `${skipped} lines are no lines`} of a record`];
}

/** Whoever named no file should know which were found, and that one under another name was not. */
function foundLines(files: readonly string[], missing: readonly string[]): string[] {
  const found = files.length > 0 ? files.map((file) => `read ${file}`) : ['there is no record yet'];
  const earlier = missing.map(
    (chain) => `chain ${chain}, named as an earlier one, is not among them: name its file as well`,
  );
  return [...found, ...earlier];
}

async function configuredFiles(file: string | undefined): Promise<readonly string[] | ExitCode> {
  const loaded = await loadConfig(loadOptions({ file }));
  if ('problems' in loaded) {
    printProblems(loaded.problems, process.stderr);
    return EXIT.config;
  }
  const { audit } = loaded.config;
  if (audit !== 'stdout') return filesOfRecord(audit.file);
  process.stderr.write('the record goes to stdout: name the files that its collector writes\n');
  return EXIT.usage;
}

/** Milliseconds since the epoch; `undefined` for what is neither a moment nor an age. */
function momentOf(text: string, nowMs: number): number | undefined {
  const [, count, unit] = /^(\d{1,6})([hd])$/.exec(text) ?? [];
  if (count !== undefined) return nowMs - Number(count) * (unit === 'h' ? 3_600_000 : 86_400_000);
  const ms = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function table(by: ReportBy, rows: readonly ReportRow[]): string {
  const signsIn = by === 'person';
  const cells = rows.map(({ name, requests, refused, opened, sealed, signIns, lastMs }) => [
    printable(name),
    ...[requests, refused, opened, sealed, ...(signsIn ? [signIns] : [])].map(String),
    new Date(lastMs).toISOString(),
  ]);
  const columns = ['requests', 'refused', 'opened', 'sealed', ...(signsIn ? ['sign-ins'] : []), 'last'];
  const lines = [[by, ...columns], ...cells];
  const widths = lines.reduce<number[]>(
    (most, line) => line.map((cell, index) => Math.max(cell.length, most[index] ?? 0)),
    [],
  );
  const padded = (cell: string, index: number): string =>
    index === 0 || index === columns.length
      ? cell.padEnd(widths[index] ?? 0)
      : cell.padStart(widths[index] ?? 0);
  return lines.map((line) => `${line.map(padded).join('  ').trimEnd()}\n`).join('');
}

function verdictLine({ lines, chains, mistakes, tailsProven }: AuditVerdict): string {
  const unchanged = `nothing was changed${tailsProven ? '' : ', as far as it is proven'}`;
  const end = mistakes.length === 0 ? unchanged : counted(mistakes.length, 'mistake');
  return `${counted(lines, 'line')} in ${counted(chains, 'chain')}: ${end}`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function mistakeLine({ file, line, sentence }: AuditMistake): string {
  return line === undefined ? `${file}: ${sentence}` : `${file}:${line}: ${sentence}`;
}

function unreadable(error: unknown): ExitCode {
  process.stderr.write(`${printable(whyUnreadable(error))}\n`);
  return EXIT.failed;
}

function whyUnreadable(error: unknown): string {
  if (!(error instanceof Error)) return 'a file cannot be read';
  const { code, path = 'a file' }: NodeJS.ErrnoException = error;
  switch (code) {
    case 'ENOENT':
      return `${path}: no such file`;
    case 'EACCES':
      return `${path}: may not be read by this user`;
    case 'EISDIR':
      return 'a directory is no file of a record: name the files in it';
    default:
      return error.message;
  }
}
