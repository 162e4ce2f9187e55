// A server in a process of its own, and what it costs by the system's own counters.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

export interface ServerProcess {
  readonly url: string;
  /** User and system time so far, in seconds. */
  cpuSeconds(): number;
  /** Memory that is resident now, in MiB. */
  residentMib(): number;
  stop(): Promise<void>;
}

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const TICKS_A_SECOND = 100;
const READY_WITHIN_MS = 20_000;

/** Starts a server that prints `{"url": …}` as its first line. */
export async function startTelling(command: ServerCommand): Promise<ServerProcess> {
  const child = spawnServer(command);
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { url: string };
    child.stdout.resume();
    return serverProcess(child, url);
  }
  throw new Error(`${command.command} ended before it listened`);
}

/** Starts a server that takes its port as an argument and tells nothing. */
export async function startAt(port: number, command: ServerCommand): Promise<ServerProcess> {
  const child = spawnServer(command);
  child.stdout.resume();
  const lateMs = performance.now() + READY_WITHIN_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() > lateMs)
      throw new Error(`${command.command} ${command.args.join(' ')} does not listen on port ${port}`);
    await pause(50);
  }
  return serverProcess(child, `http://127.0.0.1:${port}`);
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return port;
}

type Child = ReturnType<typeof spawnServer>;

function spawnServer({ command, args, cwd, env }: ServerCommand) {
  return spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function serverProcess(child: Child, url: string): ServerProcess {
  const pid = child.pid ?? 0;
  return {
    url,
    cpuSeconds: () => {
      // proc(5): utime and stime are fields 14 and 15 of stat, counted here from behind the name
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
    },
    residentMib: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
