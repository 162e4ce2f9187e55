// LocalStack's KMS: an emulator that names its refusals as AWS does (DisabledException, IncorrectKeyException …).
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathOf } from './catalogue.js';
import { answersOk, freePort, spawnPart, type Stoppable } from './spawn-part.js';

export interface LocalStack extends Stoppable {
  /** For `AWS_ENDPOINT_URL_KMS`. Any credentials and any region will do. */
  readonly url: string;
  /** Of its process, for a test that pauses it. */
  readonly pid: number;
}

export interface LocalStackOptions {
  /** The same port again, for a test that restarts it. Default is a free one. */
  readonly port?: number;
}

export async function startLocalStack(options: LocalStackOptions = {}): Promise<LocalStack> {
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-localstack-'));
  const { pid, stop } = await spawnPart({
    command: pathOf('localstack'),
    args: ['-m', 'localstack.runtime.main'],
    cwd: directory,
    env: {
      GATEWAY_LISTEN: `127.0.0.1:${port}`,
      GATEWAY_SERVER: 'hypercorn',
      SERVICES: 'kms',
      EAGER_SERVICE_LOADING: '1',
      STRICT_SERVICE_LOADING: '1',
      SKIP_SSL_CERT_DOWNLOAD: '1',
      DISABLE_EVENTS: '1',
      HOME: directory,
      XDG_CACHE_HOME: join(directory, 'cache'),
      TMPDIR: directory,
    },
    isReady: (signal) => answersOk(`${url}/_localstack/health`, signal),
    afterwards: () => rm(directory, { recursive: true, force: true }),
  });
  return { url, pid, stop };
}
