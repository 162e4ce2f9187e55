// The codec server as it is deployed, with everything switched on, for the benchmarks.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Certificates } from '../src/dev/certificates.js';
import { startTelling, type ServerProcess } from './server-process.js';

export interface KeyholeOptions {
  readonly certificates: Certificates;
  readonly tls: boolean;
  /** Content of `keyhole.yaml`, beside what is the same for all. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** Further files beside it. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** What is started. Default is the command itself. */
  readonly program?: string;
}

const UNLIMITED = {
  callerRequestsPerSecond: 100_000,
  callerBurst: 100_000,
  callerPayloadsPerMinute: 100_000_000,
  shutdownDelaySeconds: 0,
};

/** `keyhole serve` from `dist/`, logging every request to a file and recording it in another. */
export async function startKeyhole(options: KeyholeOptions): Promise<ServerProcess> {
  const { certificates, tls, configuration, files = {}, env = {}, program = MAIN } = options;
  const directory = mkdtempSync(join(tmpdir(), 'keyhole-bench-'));
  const { ca, cert, key } = certificates;
  for (const [name, content] of Object.entries({ 'ca.pem': ca, 'cert.pem': cert, 'key.pem': key, ...files }))
    writeFileSync(join(directory, name), content, { mode: 0o600 });
  const whole = {
    listen: '127.0.0.1:0',
    limits: UNLIMITED,
    audit: { file: './audit.ndjson' },
    metrics: { listen: '127.0.0.1:0' },
    ...(tls && { tls: { cert: './cert.pem', key: './key.pem' } }),
    ...configuration,
  };
  writeFileSync(join(directory, 'keyhole.yaml'), JSON.stringify(whole)); // JSON is YAML
  const server = await startTelling({
    command: '/bin/sh',
    args: ['-c', 'exec "$@" 2>log', 'sh', process.execPath, ...profiling(), program, 'serve'],
    cwd: directory,
    env: { NODE_EXTRA_CA_CERTS: join(directory, 'ca.pem'), ...env },
  });
  return {
    ...server,
    stop: async () => {
      await server.stop();
      rmSync(directory, { recursive: true });
    },
  };
}

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** `KEYHOLE_BENCH_PROFILE=DIR` keeps a CPU profile of each server there. */
function profiling(): string[] {
  const directory = process.env['KEYHOLE_BENCH_PROFILE'];
  return directory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${directory}`];
}
