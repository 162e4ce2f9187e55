// The Temporal dev server as a child process: started, waited for, ended.
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';
import { abortAfter } from '../../aborting.js';
import type { Endings } from '../endings.js';
import { DIRECT } from '../loopback.js';

const READY_WITHIN_MS = 60_000;
const KILL_AFTER_MS = 5_000;
const TAIL_CHARACTERS = 2_000;
/**
 * Becomes the program it is given, which is killed once its standard input ends: when our process is gone, however it
 * went. (tsx, for one, sends SIGKILL after 60 ms.)
 */
const TIED_TO_US = 'exec 3<&0; (cat <&3; kill -KILL $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

export interface TemporalServerOptions {
  /** Path of the Temporal CLI. */
  readonly cli: string;
  readonly port: number;
  readonly uiPort: number;
  readonly namespaces: readonly string[];
  /** Told how to end it, before it is ready. */
  readonly endings: Endings;
  readonly signal: AbortSignal;
}

export interface TemporalServer {
  /** `127.0.0.1:PORT` of its gRPC service. */
  readonly address: string;
  /** Origin of its own Web UI. */
  readonly uiOrigin: string;
}

/**
 * Starts a dev server that keeps everything in memory and listens on 127.0.0.1. It runs in a process group of its own,
 * so that a Ctrl-C reaches it only through `endings`, after the workers are done.
 *
 * @throws Error with the server's last words if it ends, or is not ready within 60 s.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const child = spawnTied(options.cli, argumentsOf(options));
  const said = { tail: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said.tail = (said.tail + text).slice(-TAIL_CHARACTERS);
    });
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      said.tail += error.message;
      resolve();
    });
    child.once('close', () => {
      resolve();
    });
  });
  const stop = () => end(child, ended);
  options.endings.add(stop, () => void child.kill('SIGKILL'));
  const address = `127.0.0.1:${options.port}`;
  try {
    await Promise.race([
      ready(address, options),
      ended.then(() => {
        throw new Error(`the Temporal dev server ended: ${lastLine(said.tail)}`);
      }),
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address, uiOrigin: `http://127.0.0.1:${options.uiPort}` };
}

function spawnTied(cli: string, args: readonly string[]) {
  const isWindows = process.platform === 'win32';
  const [command, all] = isWindows ? [cli, args] : ['sh', ['-c', TIED_TO_US, 'sh', cli, ...args]];
  return spawn(command, all, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
}

function argumentsOf({ port, uiPort, namespaces }: TemporalServerOptions): string[] {
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
    ...namespaces.flatMap((namespace) => ['--namespace', namespace]),
    ...['--ui-disable-news-fetch', '--log-level', 'error'],
  ];
}

/** Resolves once every namespace is served. */
async function ready(address: string, options: TemporalServerOptions): Promise<void> {
  const { Connection } = await import('@temporalio/client');
  const signal = abortAfter(READY_WITHIN_MS, options.signal);
  const connection = Connection.lazy({ address, channelArgs: DIRECT });
  try {
    for (const namespace of options.namespaces)
      while (!(await isServed(connection, namespace))) await delay(100, undefined, { signal });
  } catch (error) {
    options.signal.throwIfAborted();
    throw signal.aborted ? new Error('the Temporal dev server was not ready within 60 s') : error;
  } finally {
    await connection.close();
  }
}

async function isServed(connection: Connection, namespace: string): Promise<boolean> {
  try {
    const list = () => connection.workflowService.listWorkflowExecutions({ namespace, pageSize: 1 });
    await connection.withDeadline(Date.now() + 1_000, list);
    return true;
  } catch {
    return false;
  }
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(kill);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
