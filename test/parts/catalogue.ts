// The real parts the tests run on: which there are, at which version, and where each is kept.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { installedCandidates } from '../../src/dev/temporal/temporal-cli.js';

export const PART_NAMES = [
  'temporal',
  'moto',
  'localstack',
  'vault',
  'ui-server',
  'chromium',
  'haproxy',
  'nginx',
  'promtool',
  'python',
  'seed-python',
  'node22',
  'node24',
] as const;

export type PartName = (typeof PART_NAMES)[number];

export function isPartName(name: string): name is PartName {
  return (PART_NAMES as readonly string[]).includes(name);
}

/** A part that `npm run parts` builds into a folder of its own. */
export type BuiltPart = Exclude<PartName, 'temporal' | DebianPart>;
/** A part that is a package of Debian, under its own name. */
export type DebianPart = 'chromium' | 'haproxy' | 'nginx';
type PythonPart = 'moto' | 'localstack' | 'python' | 'seed-python';

export const UI_SERVER = { version: '2.58.1', go: '1.26.10', echo: '4.16.0', api: '1.64.1' } as const;
/** The newest whose modules build without a patch. Business Source License: for tests only, never shipped. */
export const VAULT = {
  version: '1.21.1',
  program: new URL('vault-server/main.go', import.meta.url).pathname,
};
export const NODES = { node22: '22.23.3', node24: '24.21.0' } as const;

/** Every package of a Python part, pinned. */
export function requirementsOf(name: PythonPart): string {
  return new URL(`python/${name}.txt`, import.meta.url).pathname;
}

/** Its version as a person calls it. */
export function versionOf(name: BuiltPart): string {
  switch (name) {
    case 'ui-server':
      return UI_SERVER.version;
    case 'vault':
      return VAULT.version;
    case 'promtool':
      return 'of Debian';
    case 'node22':
    case 'node24':
      return NODES[name];
    case 'moto':
      return pinned(name, 'moto');
    case 'localstack':
      return pinned(name, 'localstack-core');
    case 'python':
      return `cryptography ${pinned(name, 'cryptography')}`;
    case 'seed-python':
      return `temporalio ${pinned(name, 'temporalio')}`;
  }
}

function pinned(name: PythonPart, distribution: string): string {
  const line = readFileSync(requirementsOf(name), 'utf8').split('\n');
  const pin = line.find((text) => text.startsWith(`${distribution}==`));
  if (pin === undefined) throw new Error(`${requirementsOf(name)} pins no ${distribution}`);
  return pin.slice(distribution.length + 2);
}

/** Where the parts are kept: outside the repository, so that they outlive a checkout. */
export function partsDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env['XDG_CACHE_HOME'] ?? join(env['HOME'] ?? homedir(), '.cache');
  return env['KEYHOLE_PARTS'] ?? join(cache, 'temporal-keyhole', 'parts');
}

/** The folder of a part; another version, another folder. */
export function folderOf(name: BuiltPart): string {
  return join(partsDirectory(), `${name}-${keyOf(name)}`);
}

function keyOf(name: BuiltPart): string {
  switch (name) {
    case 'ui-server':
      return `${UI_SERVER.version}-go${UI_SERVER.go}`;
    case 'vault':
      return `${VAULT.version}-${digestOf(VAULT.program)}`;
    case 'promtool':
      return 'debian';
    case 'node22':
    case 'node24':
      return NODES[name];
    case 'moto':
    case 'localstack':
    case 'python':
    case 'seed-python':
      return digestOf(requirementsOf(name));
  }
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 12);
}

/** The program of a part inside its folder. */
export function programOf(name: BuiltPart): string {
  switch (name) {
    case 'ui-server':
      return 'ui-server';
    case 'vault':
      return 'vault-server';
    case 'promtool':
      return join('usr', 'bin', 'promtool');
    case 'moto':
      return join('bin', 'moto_server');
    case 'localstack':
    case 'python':
    case 'seed-python':
      return join('bin', 'python');
    case 'node22':
    case 'node24':
      return join('bin', 'node');
  }
}

/** Where each may lie, Debian's own place first. */
const PROGRAMS: Readonly<Record<DebianPart, readonly [string, ...string[]]>> = {
  chromium: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'],
  haproxy: ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy', '/opt/homebrew/bin/haproxy'],
  nginx: ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/opt/homebrew/bin/nginx'],
};

/** Where the program of a part is, or would be once `npm run parts` has run. */
export function pathOf(name: PartName): string {
  switch (name) {
    case 'temporal': {
      const candidates = installedCandidates({ env: process.env }).map(({ path }) => path);
      return candidates.find((path) => existsSync(path)) ?? candidates.at(-1) ?? 'temporal';
    }
    case 'chromium':
    case 'haproxy':
    case 'nginx': {
      const paths = PROGRAMS[name];
      return process.env[name.toUpperCase()] ?? paths.find((path) => existsSync(path)) ?? paths[0];
    }
    default:
      return join(folderOf(name), programOf(name));
  }
}
