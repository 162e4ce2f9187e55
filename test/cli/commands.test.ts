// The commands that end by themselves: what they print, where, and their exit codes.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseLocalKeys } from '../../src/keys/providers/local.js';
import { API_KEY, GOOD, makeFolder, type Folder } from '../config/folder.js';
import { run, type Ended } from './command.js';

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
  await folder.write('bad.yaml', 'listen: here\ndenied: maybe\n');
  await folder.configure(GOOD);
});
afterAll(() => folder.remove());

const keyhole = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  run(args, { cwd: folder.path, env });

describe('keyhole', () => {
  test('prints its version, and helps, on stdout', async () => {
    const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await keyhole(['--version'])).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' });
    const help = await keyhole(['--help']);
    expect(help.code).toBe(0);
    for (const command of ['dev', 'serve', 'check', 'keys']) expect(help.stdout).toContain(`\n  ${command} `);
  });

  test.each([
    ['no command', []],
    ['an unknown command', ['frobnicate']],
    ['an unknown option', ['serve', '--frobnicate']],
    ['an option without its value', ['check', '-c']],
    ['keys alone', ['keys']],
  ])('ends with 2 for wrong usage: %s', async (_, args) => {
    const { code, stdout, stderr } = await keyhole(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).not.toBe('');
  });
});

describe('keyhole check', () => {
  const BAD = 'listen: must be host:port\ndenied: must be one of error, encrypted, notice\n';

  test('prints every mistake, one a line, and ends with 78', async () => {
    const env = { AWS_REGION: 'eu-west-1', TEMPORAL_API_KEY: API_KEY };
    expect(await keyhole(['check', '-c', 'bad.yaml'], env)).toEqual({
      code: 78,
      stdout: BAD,
      stderr: 'read bad.yaml\n',
    });
  });

  test('says that there is no file, and that defaults are used', async () => {
    const empty = await makeFolder();
    const { stderr } = await run(['check'], { cwd: empty.path });
    await empty.remove();
    expect(stderr).toContain('there is no keyhole.yaml here: the defaults are used\n');
  });

  test('ends with 0 where there is none, with its warnings on stderr', async () => {
    const { code, stdout, stderr } = await keyhole(['check']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/^read keyhole\.yaml\n/);
    expect(stderr).toContain('warning: there is no tls');
    expect(stderr).toContain('the configuration is good\n');
    await expect(stat(join(folder.path, 'keyhole-audit.ndjson'))).rejects.toThrow('ENOENT');
  });

  test('names the Region where AWS does not know one', async () => {
    await folder.write(
      'aws.yaml',
      JSON.stringify({ ...GOOD, keys: [{ namespaces: ['a'], wrap: { provider: 'aws-kms' } }] }),
    );
    const env = { HOME: folder.path, AWS_EC2_METADATA_DISABLED: 'true' };
    const { code, stdout } = await keyhole(['check', '-c', 'aws.yaml'], env);
    expect({ code, stdout }).toEqual({
      code: 78,
      stdout: 'keys[0].wrap.key: the AWS Region is not known: set AWS_REGION, or name the key by its ARN\n',
    });
  });

  test('serve says the same on stderr, and opens no port', async () => {
    const env = { AWS_REGION: 'eu-west-1', TEMPORAL_API_KEY: API_KEY, KEYHOLE_CONFIG: 'bad.yaml' };
    expect(await keyhole(['serve'], env)).toEqual({ code: 78, stdout: '', stderr: BAD });
  });
});

describe('keyhole keys generate', () => {
  test('makes a key file that only its owner can read, with one key of 32 bytes', async () => {
    expect((await keyhole(['keys', 'generate', '--id', 'orders-1', 'new.yaml'])).code).toBe(0);
    const file = join(folder.path, 'new.yaml');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const keys = parseLocalKeys(parse(await readFile(file, 'utf8')));
    expect(keys.map(({ id, secret }) => [id, secret.length])).toEqual([['orders-1', 32]]);
  });

  test('never writes over a file', async () => {
    const before = await readFile(join(folder.path, 'keys.yaml'));
    const { code, stderr } = await keyhole(['keys', 'generate', 'keys.yaml']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'keys.yaml is there already, and is not written over\n',
    });
    expect(await readFile(join(folder.path, 'keys.yaml'))).toEqual(before);
  });

  test('refuses an id that cannot be one, and makes no file', async () => {
    expect((await keyhole(['keys', 'generate', '--id', 'a b', 'other.yaml'])).code).toBe(2);
    await expect(stat(join(folder.path, 'other.yaml'))).rejects.toThrow('ENOENT');
  });
});
