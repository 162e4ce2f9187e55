// A real nginx with a `server` block of somebody's, all its files in a directory of their own.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchTrusting } from '../../src/access/outgoing/trusting-fetch.js';
import { pathOf } from './catalogue.js';
import { spawnPart, type RunningPart } from './spawn-part.js';

export interface NginxOptions {
  readonly port: number;
  /** The `server` block, which listens on 443 and has its certificate in `/etc/nginx`. */
  readonly block: string;
  readonly certificate: { readonly ca: string; readonly cert: string; readonly key: string };
}

export interface Nginx extends Pick<RunningPart, 'stop'> {
  /** What it warned of so far, e.g. that a body went to a file. */
  readonly warnings: () => Promise<string>;
}

/** Listens on 127.0.0.1 in place of what the block says; ready once it answers anything. */
export async function startNginx({ port, block, certificate }: NginxOptions): Promise<Nginx> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-nginx-'));
  const own = (name: string) => join(directory, name);
  await writeFile(own('codec.pem'), certificate.cert);
  await writeFile(own('codec.key'), certificate.key, { mode: 0o600 });
  const server = block.replace('listen 443', `listen 127.0.0.1:${port}`).replaceAll('/etc/nginx', directory);
  await writeFile(own('nginx.conf'), configurationOf(server, own));
  const fetch = fetchTrusting(certificate.ca);
  const { stop } = await spawnPart({
    command: pathOf('nginx'),
    args: ['-p', directory, '-e', own('error.log'), '-c', own('nginx.conf')],
    isReady: async (signal) => (await fetch(`https://localhost:${port}/`, { signal })).status > 0,
    afterwards: () => rm(directory, { recursive: true, force: true }),
  });
  return { stop, warnings: () => readFile(own('error.log'), 'utf8') };
}

function configurationOf(server: string, own: (name: string) => string): string {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return [
    'daemon off;',
    `pid ${own('pid')};`,
    `error_log ${own('error.log')} warn;`,
    'worker_processes 1;',
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'events {}',
    'http {',
    ...kinds.map((kind) => `${kind}_temp_path ${own(kind)};`),
    server,
    '}',
  ].join('\n');
}
