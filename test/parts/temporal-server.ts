// Temporal's dev server with the namespaces a test wants, and the CLI pointed at it.
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { Connection } from '@temporalio/client';
import { pathOf } from './catalogue.js';
import { answersOk, freePort, spawnPart, type Stoppable } from './spawn-part.js';

const CLI_WITHIN_MS = 60_000;

export interface TemporalServerOptions {
  readonly namespaces: readonly string[];
  /** Starts the dev server's own Web UI too. */
  readonly ui?: {
    /** Default is a free one. */
    readonly port?: number;
    readonly codecEndpoint?: string;
  };
  /** Further arguments of `temporal server start-dev`. */
  readonly extraArgs?: readonly string[];
}

export interface CliAnswer {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export interface TemporalServer extends Stoppable {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  /** Origin of its own Web UI; undefined without `ui`. */
  readonly uiUrl: string | undefined;
  /** Runs the Temporal CLI against this server. Nothing of the test's own `TEMPORAL_*` environment reaches it. */
  cli(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliAnswer>;
}

export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const port = await freePort();
  const uiPort = options.ui === undefined ? undefined : (options.ui.port ?? (await freePort()));
  const address = `127.0.0.1:${port}`;
  const command = pathOf('temporal');
  const connection = Connection.lazy({ address });
  const { stop } = await spawnPart({
    command,
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'error'],
      ...['--port', String(port), '--http-port', String(await freePort())],
      ...uiArguments(options, uiPort),
      ...options.namespaces.flatMap((name) => ['--namespace', name]),
      ...(options.extraArgs ?? []),
    ],
    env: withoutTemporalVariables(),
    isReady: async (signal) => {
      if (!(await accepts(port))) return false; // gRPC's own back-off would cost a second
      if (uiPort !== undefined && !(await answersOk(`http://127.0.0.1:${uiPort}/`, signal))) return false;
      return await servesAll(connection, options.namespaces);
    },
  }).finally(() => connection.close());
  return {
    address,
    uiUrl: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`,
    cli: (args, env = {}) => runCli(command, [...args, '--address', address], env),
    stop,
  };
}

function uiArguments({ ui }: TemporalServerOptions, port: number | undefined): string[] {
  if (ui === undefined || port === undefined) return ['--headless'];
  const codec = ui.codecEndpoint === undefined ? [] : ['--ui-codec-endpoint', ui.codecEndpoint];
  return ['--ui-port', String(port), '--ui-disable-news-fetch', ...codec];
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => {
      resolve(false);
    });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** A namespace is served once a query of its visibility store is answered. */
async function servesAll(connection: Connection, namespaces: readonly string[]): Promise<boolean> {
  const list = (namespace: string) =>
    connection.withDeadline(Date.now() + 1_000, () =>
      connection.workflowService.listWorkflowExecutions({ namespace, pageSize: 1 }),
    );
  const answers = await Promise.allSettled(namespaces.map(list)); // a call left in its retries would outlive the connection
  return answers.every(({ status }) => status === 'fulfilled');
}

async function runCli(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<CliAnswer> {
  const options = {
    timeout: CLI_WITHIN_MS,
    maxBuffer: 64 * 2 ** 20,
    env: { ...process.env, ...withoutTemporalVariables(), ...env },
  };
  return await new Promise((resolve, reject) => {
    execFile(command, ['--disable-config-file', ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr, code: 0 });
      else if (typeof error.code === 'number') resolve({ stdout, stderr, code: error.code });
      else reject(new Error(`temporal ${args.join(' ')} did not end: ${stderr}`, { cause: error }));
    });
  });
}

function withoutTemporalVariables(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) => name.startsWith('TEMPORAL_'));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
