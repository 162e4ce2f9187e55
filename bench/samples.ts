// The codec servers of Temporal's official samples, built from checkouts that lie outside of this repository.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort, startAt, type ServerProcess } from './server-process.js';

/** The key of all three, which their sources publish. */
export const SAMPLE_KEY = { id: 'test-key-id', secret: Buffer.from('test-key-test-key-test-key-test!') };

export interface Sample {
  readonly name: string;
  readonly start: () => Promise<ServerProcess>;
}

/** As they stand they refuse bodies above 100 KB (TypeScript) and 1 MiB (Python); the shapes need a little more. */
const BODY_BYTES = 16 * 1024 * 1024;

/**
 * @param directory - holds checkouts of `github.com/temporalio/samples-go`, `samples-typescript` and
 * `samples-python`; what is built of them is kept in `.built` beside them. What is not there is left out, and said.
 */
export async function officialSamples(directory: string): Promise<Sample[]> {
  const built = resolve(directory, '.built');
  await mkdir(built, { recursive: true });
  const samples: Sample[] = [];
  for (const [repository, sample] of Object.entries(SAMPLES)) {
    const checkout = resolve(directory, repository);
    if (existsSync(checkout)) samples.push(await sample(checkout, built));
    else process.stdout.write(`left out: there is no checkout ${checkout}\n`);
  }
  return samples;
}

const SAMPLES = {
  'samples-go': goSample,
  'samples-typescript': typescriptSample,
  'samples-python': pythonSample,
};

async function goSample(checkout: string, built: string): Promise<Sample> {
  const command = join(built, 'go-codec-server');
  if (!existsSync(command)) await run('go', ['build', '-o', command, './encryption/codec-server'], checkout);
  return sampleOf('Go sample', (port) => ({ command, args: ['-port', String(port)] }));
}

/** Compiled, as a server that is deployed is; with the four packages it needs, since the SDK's worker is none of them. */
async function typescriptSample(checkout: string, built: string): Promise<Sample> {
  const folder = join(built, 'typescript');
  const script = join(folder, 'lib', 'codec-server.js');
  if (!existsSync(script)) {
    await cp(join(checkout, 'encryption', 'src'), join(folder, 'src'), { recursive: true });
    await writeFile(join(folder, 'package.json'), '{"private":true}');
    const packages = ['express@4', 'cors@2', 'yargs@16', '@temporalio/common@1', '@temporalio/proto@1'];
    await run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages], folder);
    const tsc = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));
    const options = ['--noCheck', '--esModuleInterop', '--target', 'es2022', '--outDir', 'lib'];
    const legacy = ['--module', 'commonjs', '--ignoreDeprecations', '6.0'];
    await run(process.execPath, [tsc, ...options, ...legacy, 'src/codec-server.ts'], folder);
    const compiled = await readFile(script, 'utf8');
    await writeFile(script, compiled.replace('.json()', `.json({ limit: ${BODY_BYTES} })`));
  }
  return sampleOf('TypeScript sample', (port) => ({
    command: process.execPath,
    args: [script, '--port', String(port)],
    env: { NODE_ENV: 'production' },
  }));
}

async function pythonSample(checkout: string, built: string): Promise<Sample> {
  const folder = join(built, 'python');
  const command = join(folder, 'bin', 'python');
  if (!existsSync(command)) {
    await run('python3', ['-m', 'venv', folder], built);
    // as the sample's pyproject.toml wants them
    const packages = [
      'temporalio>=1.31,<2',
      'protobuf>=5.29.6,<6',
      'aiohttp>=3.13.3,<4',
      'cryptography>=38,<39',
    ];
    await run(command, ['-m', 'pip', 'install', '--quiet', ...packages], built);
  }
  const program = `import sys
from aiohttp import web
from encryption.codec_server import build_codec_server
app = build_codec_server()
app._client_max_size = ${BODY_BYTES}
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)`;
  return sampleOf('Python sample', (port) => ({
    command,
    args: ['-c', program, String(port)],
    cwd: checkout,
  }));
}

function sampleOf(name: string, commandAt: (port: number) => Parameters<typeof startAt>[1]): Sample {
  return {
    name,
    start: async () => {
      const port = await freePort();
      return startAt(port, commandAt(port));
    },
  };
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  process.stdout.write(`in ${cwd}: ${command} ${args.slice(0, 2).join(' ')} …\n`);
  await promisify(execFile)(command, args, { cwd, maxBuffer: 64 * 2 ** 20 });
}
