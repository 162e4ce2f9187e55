// Runs the example's worker and starter, ours and the Python ones, as child processes.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pathOf } from '../parts/catalogue.js';
import { spawnPart, type Stoppable } from '../parts/spawn-part.js';
import { keepStream } from '../streams.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ENDS_WITHIN_MS = 45_000;

export type Environment = Readonly<Record<string, string>>;

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Language {
  readonly name: string;
  /** The command line of `worker` or `starter`, without its arguments. */
  commandLine(program: 'worker' | 'starter'): readonly [string, ...string[]];
}

export const typescript: Language = {
  name: 'TypeScript',
  commandLine: (program) => [process.execPath, '--import', 'tsx', `examples/encryption/${program}.ts`],
};

export const python: Language = {
  name: 'Python',
  commandLine: (program) => [pathOf('seed-python'), `test/examples/python/${program}.py`],
};

/** Runs the starter to its end. */
export async function runStarter(language: Language, args: string[], env: Environment): Promise<Ended> {
  return await run(language.commandLine('starter'), args, env);
}

/** Runs the worker to its end, which it has only if it cannot work. */
export async function runWorker(language: Language, args: string[], env: Environment): Promise<Ended> {
  return await run(language.commandLine('worker'), args, env);
}

/** Starts a worker. It need not poll yet: the server keeps tasks until it does. */
export async function startWorker(
  language: Language,
  namespace: string,
  env: Environment,
): Promise<Stoppable> {
  const [command, ...args] = language.commandLine('worker');
  return await spawnPart({
    command,
    args: [...args, namespace],
    cwd: ROOT,
    env: { ...withoutCallersSettings(), ...env },
    isReady: () => Promise.resolve(true),
  });
}

/** Runs a program to its end; what it says is searched for planted secrets. */
export async function run(
  [command, ...before]: readonly [string, ...string[]],
  args: readonly string[],
  env: Environment,
  input = '',
): Promise<Ended> {
  const options = {
    cwd: ROOT,
    env: { ...process.env, ...withoutCallersSettings(), ...env },
    timeout: ENDS_WITHIN_MS,
  };
  return await new Promise((resolve) => {
    const child = execFile(command, [...before, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      keepStream('example-stderr', stderr);
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** What the person who runs the tests has set for Temporal and AWS must not reach the programs. */
function withoutCallersSettings(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) => /^(TEMPORAL|AWS|KEYHOLE_WRITE)/.test(name));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
