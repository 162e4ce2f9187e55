// A codec server of any configuration in this process, its log and record searched for planted secrets.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load-config.js';
import { createLog } from '../../src/config/logger.js';
import { writeLocalKeyFile } from '../../src/config/reading/local-key-file.js';
import { startService } from '../../src/config/start-service.js';
import { keepStream } from '../streams.js';

export interface InProcessOptions {
  /** Each has a local key. */
  readonly namespaces: readonly string[];
  /** By name; readable to nobody else. */
  readonly files: Readonly<Record<string, string>>;
  /** Added to what a server in a test cannot do without; paths are names of `files`. */
  readonly configuration: object;
}

export interface InProcess {
  readonly url: string;
  /** The lines of its record. */
  readonly records: () => Promise<readonly string[]>;
  readonly stop: () => Promise<void>;
}

/** @throws Error with every problem of the configuration. */
export async function startInProcess(options: InProcessOptions): Promise<InProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-in-process-'));
  const path = (name: string) => join(directory, name);
  for (const [name, text] of Object.entries(options.files))
    await writeFile(path(name), text, { mode: 0o600 });
  for (const name of options.namespaces) await writeLocalKeyFile(path(`${name}.yaml`), name);
  const keys = options.namespaces.map((name) => {
    return { namespaces: [name], wrap: { provider: 'local', file: `${name}.yaml` } };
  });
  const audit = { file: 'audit.ndjson' };
  const metrics = { listen: '127.0.0.1:0' };
  await writeFile(path('keyhole.yaml'), stringify({ keys, audit, metrics, ...options.configuration }));
  const load = () => loadConfig({ file: path('keyhole.yaml'), env: {}, cwd: directory });
  const loaded = await load();
  if (!('config' in loaded)) throw new Error(JSON.stringify(loaded.problems));
  const { logger, flush } = createLog('debug', path('log'));
  const started = await startService({ config: loaded.config, load, logger, stdout: new PassThrough() });
  if (!('service' in started)) throw new Error(JSON.stringify(started.problems));
  return {
    url: started.service.urls.url,
    records: async () => (await readFile(path('audit.ndjson'), 'utf8')).trim().split('\n'),
    stop: async () => {
      await started.service.stop({ hurry: true });
      flush();
      keepStream('in-process-log', await readFile(path('log')));
      keepStream('in-process-record', await readFile(path('audit.ndjson')));
      await rm(directory, { recursive: true });
    },
  };
}
