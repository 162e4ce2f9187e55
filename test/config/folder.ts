// A folder with a configuration and what it names, loaded as `serve` would load it.
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import type { Config } from '../../src/config/config.js';
import { loadConfig, type LoadOptions } from '../../src/config/load-config.js';
import { problemLine } from '../../src/config/reading/problems.js';
import { newLocalKeyFile } from '../../src/keys/providers/local.js';
import { plantSecret } from '../streams.js';

export const API_KEY = plantSecret('operations-key-7d1e5a3c9b20');

/** A configuration without a mistake, next to `keys.yaml`. */
export const GOOD = {
  keys: [{ namespaces: ['orders.a1b2c'], wrap: { provider: 'local', file: 'keys.yaml' } }],
  access: {
    issuers: [{ issuer: 'https://idp.example/', audience: 'keyhole', emailDomains: ['example.com'] }],
    roles: { source: 'static', people: { 'alice@example.com': ['namespace:admin@orders.a1b2c'] } },
  },
} as const;

export interface Folder {
  readonly path: string;
  /** Writes a file, mode 0600 unless another is given. Answers its path. */
  write(name: string, content: string | Uint8Array, mode?: number): Promise<string>;
  /** Writes `keyhole.yaml`; an object is written as YAML. */
  configure(content: unknown): Promise<string>;
  load(options?: Partial<LoadOptions>): ReturnType<typeof loadConfig>;
  /** The lines that `check` would print. */
  problems(options?: Partial<LoadOptions>): Promise<string[]>;
  /** @throws Error where there are problems. */
  config(options?: Partial<LoadOptions>): Promise<Config>;
  remove(): Promise<void>;
}

export async function makeFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'keyhole-config-'));
  const write: Folder['write'] = async (name, content, mode = 0o600) => {
    const file = join(path, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    await chmod(file, mode);
    return file;
  };
  const load: Folder['load'] = (options) => loadConfig({ env: {}, cwd: path, ...options });
  await write('keys.yaml', newLocalKeyFile('one'));
  return {
    path,
    write,
    load,
    configure: (content) => write('keyhole.yaml', typeof content === 'string' ? content : yaml(content)),
    problems: async (options) => {
      const loaded = await load(options);
      return 'problems' in loaded ? loaded.problems.map(problemLine) : [];
    },
    config: async (options) => {
      const loaded = await load(options);
      if ('config' in loaded) return loaded.config;
      throw new Error(loaded.problems.map(problemLine).join('\n'));
    },
    remove: () => rm(path, { recursive: true }),
  };
}

function yaml(content: unknown): string {
  return stringify(content, { aliasDuplicateObjects: false });
}
