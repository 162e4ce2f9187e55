// From configuration file and environment to a configuration, or to everything that is wrong with them.
import { hash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { Config, LogLevel } from './config.js';
import { readProxies } from './egress.js';
import { variable, type Environment } from './environment.js';
import { readTracing } from './open-tracing.js';
import { processProblems, processWarnings, type ProcessFacts } from './process-facts.js';
import { areSame } from './reading/address.js';
import { Problems, type Problem } from './reading/problems.js';
import { readShape } from './reading/read-shape.js';
import { FILE } from './reading/schema.js';
import { readTextFile } from './reading/text-file.js';
import { parseYaml } from './reading/yaml-document.js';
import { readAccess } from './sections/access.js';
import { readAudit } from './sections/audit.js';
import { readKeys } from './sections/keys.js';
import type { Place } from './sections/place.js';
import { readServer } from './sections/server.js';
import { checkSignIn } from './sections/sign-in.js';

export interface LoadOptions {
  /** Path of the file, as the command line gives it. Default is `KEYHOLE_CONFIG`, then `keyhole.yaml` if it exists. */
  readonly file?: string | undefined;
  readonly env: Environment;
  /** Absolute. */
  readonly cwd: string;
  /** How this process was started, judged too where it is given. */
  readonly process?: ProcessFacts;
  /** Milliseconds since the epoch. Default is the system's clock. */
  readonly nowMs?: number;
  /** Told the name of the file that is read; `undefined`: none is named, and there is none here. */
  readonly onFile?: (name: string | undefined) => void;
}

export type LoadResult = { readonly config: Config } | { readonly problems: readonly Problem[] };

const DEFAULT_FILE = 'keyhole.yaml';
const MAX_FILE_BYTES = 256 * 1024;
const LOG_LEVELS: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** Reads files only: no network, and nothing is written. Never rejects. */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const { env, cwd, process, nowMs } = options;
  const problems = new Problems();
  const warnings: string[] = [];
  if (process !== undefined) {
    for (const { path, sentence } of processProblems(process, env)) problems.add(path, sentence);
    warnings.push(...processWarnings(process));
  }
  const { document, path, digest } = await readDocument(options, problems);
  const fileDirectory = path === undefined ? cwd : dirname(path);
  const place: Place = { env, cwd, fileDirectory, problems, warnings, nowMs: nowMs ?? Date.now() };
  const config = document === undefined ? undefined : await readSections(document, place);
  if (config === undefined || problems.all.length > 0) return { problems: problems.all };
  return { config: { ...config, file: path, digest } };
}

async function readSections(
  document: unknown,
  place: Place,
): Promise<Omit<Config, 'file' | 'digest'> | undefined> {
  const file = readShape(FILE, document, '', place.problems);
  const logLevel = logLevelOf(place);
  const server = await readServer(file, place);
  const keys = place.problems.at('keys') ? [] : await readKeys(file.keys, place);
  const access = await readAccess(file.access, keys, place);
  if (server !== undefined && access?.signIn !== undefined) checkSignIn(server, place);
  const audit = await readAudit(file.audit, place);
  const proxies = readProxies(place);
  const tracing = readTracing(place);
  const { metrics } = file;
  if (server === undefined || access === undefined || audit === undefined || metrics === undefined)
    return undefined;
  if (metrics.listen.port !== 0 && areSame(metrics.listen, server.listen))
    place.problems.add('metrics.listen', 'is the same as listen');
  return {
    logLevel,
    server,
    keys,
    access,
    ...audit,
    metrics: metrics.listen,
    proxies,
    tracing,
    warnings: place.warnings,
  };
}

interface Document {
  /** `undefined`: it could not be read. */
  readonly document: unknown;
  /** Absolute; `undefined`: there is no file. */
  readonly path: string | undefined;
  /** SHA-256 of the file, in hex. */
  readonly digest?: string;
}

async function readDocument(
  { file, env, cwd, onFile = () => undefined }: LoadOptions,
  problems: Problems,
): Promise<Document> {
  const given = file === undefined ? variable(env, 'KEYHOLE_CONFIG') : { value: file, path: '-c' };
  const name = given?.value ?? DEFAULT_FILE;
  const path = resolve(cwd, name);
  const result = await readTextFile(path, {
    secret: false,
    maxBytes: MAX_FILE_BYTES,
    tellsPath: true,
  });
  const isThere = 'text' in result || result.isThere;
  if (isThere) onFile(name);
  else if (given === undefined) onFile(undefined);
  if ('sentence' in result) {
    if (given === undefined && !isThere) return { document: {}, path: undefined };
    problems.add(given?.path ?? 'configuration', result.sentence);
    return { document: undefined, path };
  }
  const parsed = parseYaml(result.text);
  if ('value' in parsed) return { document: parsed.value ?? {}, path, digest: hash('sha256', result.text) };
  for (const { line, column, sentence } of parsed.mistakes)
    problems.add(`${name}:${line}:${column}`, sentence);
  return { document: undefined, path };
}

function logLevelOf({ env, problems }: Place): LogLevel {
  const given = variable(env, 'KEYHOLE_LOG_LEVEL');
  const level = LOG_LEVELS.find((name) => name === (given?.value ?? 'info'));
  if (level === undefined) problems.add('KEYHOLE_LOG_LEVEL', `must be one of ${LOG_LEVELS.join(', ')}`);
  return level ?? 'info';
}
