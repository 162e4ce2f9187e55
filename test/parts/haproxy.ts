// A real HAProxy in front of instances of a server: TLS ends there, and who is not ready gets nothing.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathOf } from './catalogue.js';
import { freePort, spawnPart, type RunningPart } from './spawn-part.js';

export interface HaproxyOptions {
  readonly port: number;
  /** PEM of the certificate that it shows, and its key. */
  readonly certificate: { readonly cert: string; readonly key: string };
  /** Ports of 127.0.0.1 where the instances listen, over http. */
  readonly instances: readonly number[];
  /** Path that answers 200 where an instance may be asked. */
  readonly readyPath: string;
}

export interface Haproxy extends Pick<RunningPart, 'pid' | 'stop'> {
  /** How many instances it would ask now. */
  readonly up: () => Promise<number>;
}

/** Ready once all instances are. It never sends a request twice. */
export async function startHaproxy(options: HaproxyOptions): Promise<Haproxy> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-haproxy-'));
  const { cert, key } = options.certificate;
  const pem = join(directory, 'pair.pem');
  await writeFile(pem, `${cert}\n${key}`, { mode: 0o600 });
  const configuration = join(directory, 'haproxy.cfg');
  const statsPort = await freePort();
  await writeFile(configuration, configurationOf(options, pem, statsPort));
  const up = async (signal?: AbortSignal): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${statsPort}/;csv`, { signal: signal ?? null });
    return (await answer.text()).split('\n').filter((line) => /^instances,i\d+,.*,UP,/.test(line)).length;
  };
  const { pid, stop } = await spawnPart({
    command: pathOf('haproxy'),
    args: ['-db', '-f', configuration],
    isReady: async (signal) => (await up(signal)) === options.instances.length,
    afterwards: () => rm(directory, { recursive: true, force: true }),
  });
  return { pid, stop, up: () => up() };
}

function configurationOf(
  { port, instances, readyPath }: HaproxyOptions,
  pem: string,
  statsPort: number,
): string {
  return [
    'defaults',
    '  mode http',
    '  timeout connect 2s',
    '  timeout client 65s',
    '  timeout server 35s',
    '  timeout check 2s',
    '  option forwardfor',
    'frontend callers',
    `  bind 127.0.0.1:${port} ssl crt ${pem}`,
    '  default_backend instances',
    'backend instances',
    '  balance roundrobin',
    `  option httpchk GET ${readyPath}`,
    '  default-server check inter 200ms fall 1 rise 1',
    ...instances.map((instance, index) => `  server i${index} 127.0.0.1:${instance}`),
    'listen stats',
    `  bind 127.0.0.1:${statsPort}`,
    '  stats enable',
    '  stats uri /',
    '',
  ].join('\n');
}
