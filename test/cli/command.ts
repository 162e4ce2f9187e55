// `keyhole` as a child process, as people and scripts start it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { keepStream } from '../streams.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const TSX = import.meta.resolve('tsx');

export interface CommandOptions {
  readonly cwd: string;
  /** Beside `PATH` and `HOME` the only variables it gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** A file descriptor for its stderr. Default is a pipe that is read. */
  readonly stderr?: number;
  /** Whether its stdout is meant to carry a secret: then that is not searched for one. Default is not. */
  readonly showsSecret?: boolean;
}

export interface Ended {
  /** `null` where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Command {
  readonly #child: ChildProcess;
  readonly #said = { stdout: '', stderr: '' };
  readonly #ended: Promise<Ended>;
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], { cwd, env = {}, stderr, showsSecret = false }: CommandOptions) {
    const { PATH = '', HOME = '' } = process.env;
    this.#child = spawn(process.execPath, ['--import', TSX, MAIN, ...args], {
      cwd,
      env: { PATH, HOME, ...env },
      stdio: ['ignore', 'pipe', stderr ?? 'pipe'],
    });
    for (const name of ['stdout', 'stderr'] as const) {
      this.#child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this.#said[name] += text;
        if (name === 'stderr' || !showsSecret) keepStream(`cli-${name}`, text);
        for (const look of this.#waiting) look();
      });
    }
    this.#ended = once(this.#child, 'close').then(([code]) => ({
      code: code as number | null,
      ...this.#said,
    }));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  /** The first match in what it said on a stream, once it is there. Rejects if it ends before. */
  async says(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.#said[stream]);
        if (match === null) return;
        this.#waiting.delete(look);
        resolve(match);
      };
      this.#waiting.add(look);
      look();
    });
    const early = this.#ended.then(({ code, stderr }) => {
      throw new Error(`ended with ${code ?? 'a signal'} before it said ${pattern.source}: ${stderr}`);
    });
    return Promise.race([found, early]);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** For the end of a test, however it ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Runs a command that ends by itself. */
export function run(args: readonly string[], options: CommandOptions): Promise<Ended> {
  return new Command(args, options).ended();
}
