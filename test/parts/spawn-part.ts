// A part as a child process: started, waited for until it really answers, and never left behind.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { abortAfter } from '../../src/aborting.js';
import { choosePort } from '../../src/dev/loopback.js';

const POLL_EVERY_MS = 50;
const KILL_AFTER_MS = 5_000;
const TAIL_CHARACTERS = 4_000;
const SETPRIV = '/usr/bin/setpriv';

export interface PartOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the test's own environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /**
   * Whether the part answers as it should, or has said what it should; asked again until it does. A throw means "not
   * yet".
   */
  readonly isReady: (signal: AbortSignal, said: string) => Promise<boolean>;
  /** Default is 60 s. */
  readonly readyWithinMs?: number;
  /** Told all it says on stdout and stderr, as it says it. */
  readonly hears?: (text: string) => void;
  /** Runs once the process has ended, e.g. to remove its files. */
  readonly afterwards?: () => Promise<void>;
}

export interface RunningPart {
  readonly pid: number;
  /** The last of what it said on stdout and stderr. */
  readonly said: () => string;
  /** Ends it (SIGTERM, after 5 s SIGKILL) and waits until it has. */
  readonly stop: () => Promise<void>;
}

/** Anything with a `stop`, for a test's `afterAll`. */
export type Stoppable = Pick<RunningPart, 'stop'>;

/** @throws Error with the part's last words, if it ends or is not ready in time. */
export async function spawnPart(options: PartOptions): Promise<RunningPart> {
  const { readyWithinMs = 60_000 } = options;
  const [command, args] = dyingWithUs(options);
  const env = withoutUndefined({ ...process.env, ...options.env });
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const said = tailOf(child, options.hears);
  const ended = endOf(child);
  endWithProcess(child);
  const stop = async () => {
    await end(child, ended);
    await options.afterwards?.();
  };
  try {
    await ready(options, said, ended, readyWithinMs);
  } catch (error) {
    await stop();
    const name = basename(options.command);
    throw new Error(`${name}: ${(error as Error).message}; its last words: ${said()}`, { cause: error });
  }
  return { pid: child.pid ?? 0, said, stop };
}

/** On Linux the kernel ends the child with us, even if we are killed. */
function dyingWithUs({ command, args }: PartOptions): [string, readonly string[]] {
  if (!existsSync(SETPRIV)) return [command, args];
  return [SETPRIV, ['--pdeathsig', 'KILL', '--', command, ...args]];
}

async function ready(
  { isReady }: PartOptions,
  said: () => string,
  ended: Promise<string>,
  withinMs: number,
): Promise<void> {
  const over = new AbortController();
  const signal = abortAfter(withinMs, over.signal);
  try {
    await Promise.race([
      poll((within) => isReady(within, said()), signal, withinMs),
      ended.then((how) => {
        throw new Error(`ended before it was ready: ${how}`);
      }),
    ]);
  } finally {
    over.abort();
  }
}

async function poll(
  isReady: (signal: AbortSignal) => Promise<boolean>,
  signal: AbortSignal,
  withinMs: number,
): Promise<void> {
  while (!(await isReady(signal).catch(() => false))) {
    if (signal.aborted) throw new Error(`was not ready within ${withinMs} ms`);
    await delay(POLL_EVERY_MS);
  }
}

function tailOf(child: ChildProcess, hears: PartOptions['hears']): () => string {
  let tail = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      hears?.(text);
      tail = (tail + text).slice(-TAIL_CHARACTERS);
    });
  return () => tail.trim();
}

async function endOf(child: ChildProcess): Promise<string> {
  return await new Promise((resolve) => {
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('close', (code, signal) => {
      resolve(signal ?? `exit code ${code ?? 'unknown'}`);
    });
  });
}

async function end(child: ChildProcess, ended: Promise<string>): Promise<void> {
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(killer);
}

const alive = new Set<ChildProcess>();

function endWithProcess(child: ChildProcess): void {
  if (alive.size === 0) process.on('exit', killAll);
  alive.add(child);
  child.once('close', () => {
    alive.delete(child);
    if (alive.size === 0) process.removeListener('exit', killAll);
  });
}

function killAll(): void {
  for (const child of alive) child.kill('SIGKILL');
}

function withoutUndefined(env: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

/** Ports that were handed out: whoever asked may not listen yet. */
const handedOut = new Set<number>();

/** A port that nothing listens on now, and that no outgoing connection takes meanwhile. */
export async function freePort(): Promise<number> {
  const port = await choosePort(0, handedOut);
  handedOut.add(port);
  return port;
}

/** Whether a GET of `url` is answered 200, as a part's readiness. */
export async function answersOk(url: string, signal: AbortSignal): Promise<boolean> {
  const answer = await fetch(url, { signal: abortAfter(2_000, signal) });
  await answer.arrayBuffer();
  return answer.ok;
}
