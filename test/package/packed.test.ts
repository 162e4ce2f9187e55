// The package as npm packs it works for those who install it: as CommonJS, as ESM, with types, and as a command.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** What `npm run build` and `npm pack` read. */
const INPUTS = [
  'src',
  'docs',
  'deploy',
  'package.json',
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'LICENSE',
].concat(['tsconfig.json', 'tsconfig.build.json', 'tsconfig.cjs.json']);

/** Nothing of a run inside npm may tell the npm of this test what to do. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));

describe('the packed package', () => {
  let directory: string;
  let tarball: string;
  let packedPaths: string[];
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'keyhole-package-'));
    const copy = join(directory, 'copy');
    for (const input of INPUTS) cpSync(join(ROOT, input), join(copy, input), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    await run('npm', ['run', 'build'], { cwd: copy, env });
    const { stdout } = await run('npm', ['pack', '--json'], { cwd: copy, env });
    const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
    tarball = join(copy, packed?.filename ?? '');
    packedPaths = packed?.files.map(({ path }) => path) ?? [];
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  /** A project that has installed the package; what it depends on is ours. */
  async function install(name: string, type: 'commonjs' | 'module'): Promise<string> {
    const project = join(directory, name);
    const modules = join(project, 'node_modules');
    const ours = join(modules, 'temporal-keyhole');
    mkdirSync(ours, { recursive: true });
    await run('tar', ['xzf', tarball, '--strip-components=1', '-C', ours]);
    for (const dependency of new Set(['@aws-sdk', '@temporalio', '@types', ...dependenciesOf(ours)]))
      symlinkSync(join(ROOT, 'node_modules', dependency), join(modules, dependency));
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name, type, private: true }));
    return project;
  }

  async function build(project: string, tsconfig: string): Promise<void> {
    const consumers = join(ROOT, 'test/consumers');
    for (const file of ['main.ts', 'workflows.ts']) cpSync(join(consumers, file), join(project, file));
    cpSync(join(consumers, tsconfig), join(project, 'tsconfig.json'));
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [compiler, '-p', project]).catch(
      (error: unknown) => error as { stdout: string },
    );
    expect(stdout).toBe('');
  }

  test.each([
    ['a CommonJS program with the tsconfig of Temporal’s samples', 'commonjs', 'tsconfig.cjs.json'],
    ['an ESM program', 'module', 'tsconfig.esm.json'],
  ] as const)('%s builds against its types and runs', async (_, type, tsconfig) => {
    const project = await install(type, type);
    await build(project, tsconfig);
    const lib = join(project, 'lib');
    const program = [join(lib, 'main.js'), join(lib, 'workflows.js')];
    const { stdout, stderr } = await run(process.execPath, program, {
      env: { ...env, NODE_NO_WARNINGS: '' },
    });
    expect(stderr).not.toMatch(/ExperimentalWarning/);
    const roundTrip = { sealedAs: 'keyhole/v1', opened: '"order 4711"' };
    expect(JSON.parse(stdout)).toEqual({
      local: roundTrip,
      fake: roundTrip,
      failing: 'key_unavailable',
      keyFile: 'keys:',
      bundleSealsFailures: true,
      awsAsked: 0,
    });
  });

  test('the command tells the version of the package', async () => {
    const project = await install('command', 'module');
    const ours = join(project, 'node_modules/temporal-keyhole');
    const manifest = JSON.parse(readFileSync(join(ours, 'package.json'), 'utf8')) as {
      version: string;
      bin: { keyhole: string };
    };
    const { stdout } = await run(process.execPath, [join(ours, manifest.bin.keyhole), '--version']);
    expect(stdout).toBe(`${manifest.version}\n`);
  });

  test('holds the built files, the docs, what deploys it and the licence, and nothing of tests or sources', () => {
    const some = [
      'LICENSE',
      'README.md',
      'CONTRIBUTING.md',
      'SECURITY.md',
      'docs/format.md',
      'deploy/systemd/keyhole.service',
    ];
    expect(packedPaths).toEqual(expect.arrayContaining(some));
    const others = packedPaths.filter(
      (path) =>
        !/^(deploy|dist|docs)\/|^(LICENSE|(README|CONTRIBUTING|SECURITY)\.md|package\.json)$/.test(path),
    );
    expect(others).toEqual([]);
  });
});

/** Folders of `node_modules`: a package, or its scope. */
function dependenciesOf(folder: string): string[] {
  const manifest = readFileSync(join(folder, 'package.json'), 'utf8');
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
  return Object.keys(dependencies).map((name) => name.replace(/\/.*/, ''));
}
