// `keyhole dev` in a process of its own, on free ports, which the command has no options for: started, read, ended.
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runDev } from '../../src/dev/dev.js';
import { keepStream } from '../streams.js';

const FILE = fileURLToPath(import.meta.url);

export const FREE_PORTS = { ui: 0, codec: 0, identity: 0, temporal: 0, temporalUi: 0 } as const;

export interface DevProcess {
  readonly child: ChildProcess;
  /** What it said so far, on both streams. */
  said(): string;
  /** Resolves once it has said `text`. */
  until(text: string): Promise<void>;
  /** Its exit code, or the signal it died of. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

/** Starts dev mode, with the Temporal CLI at `cli`. */
export function startDevProcess(cli: string, once: boolean): DevProcess {
  return startScript(FILE, [once ? 'once' : 'stay'], { TEMPORAL_CLI: cli });
}

/** Starts a script of ours and keeps what it says among the streams of the run. */
export function startScript(
  file: string,
  args: readonly string[],
  env: Record<string, string> = {},
): DevProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      keepStream('dev', chunk);
      for (const look of waiting) look();
    });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (code, signal) => {
      resolve(code ?? signal);
    });
  });
  const until = (wanted: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!text.includes(wanted)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      void ended.then(() => {
        reject(new Error(`it ended without saying “${wanted}”: ${text}`));
      });
    });
  return { child, said: () => text, until, ended };
}

if (process.argv[1] === FILE) {
  const { stdout, stderr, env } = process;
  process.exitCode = await runDev({
    once: process.argv[2] === 'once',
    stdout,
    stderr,
    env,
    ports: FREE_PORTS,
  });
}
