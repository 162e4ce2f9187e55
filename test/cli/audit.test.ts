// `keyhole audit` as a child process, over files that the server's own log wrote.
import { appendFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkpointText } from '../../src/access/audit-checkpoints.js';
import { openAuditFile } from '../../src/access/file-audit-log.js';
import { auditEvent, filesOf, WRITER } from '../access/audit-events.js';
import { Command, type Ended } from './command.js';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-audit-cli-'));
  path = join(directory, 'audit.ndjson');
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function keyhole(...args: string[]): Promise<Ended> {
  return new Command(['audit', ...args], { cwd: directory }).ended();
}

/** Two runs of a server, of three records each; answers the last checkpoint. */
async function record(): Promise<string> {
  let told = '';
  for (const run of ['a', 'b']) {
    const log = await openAuditFile(path, {
      writer: WRITER,
      onCheckpoint: (checkpoint) => (told = checkpointText(checkpoint)),
    });
    for (const id of ['1', '2', '3']) await log.append(auditEvent(`${run}${id}`));
    await log.close();
  }
  return told;
}

describe('keyhole audit verify', () => {
  test('finds nothing wrong with what a server wrote, and says that the tail is not proven', async () => {
    await record();
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^tail not proven[^\n]*\n8 lines in 2 chains: nothing was changed\n$/);
  });

  test('proves the tail too with the checkpoint of the end', async () => {
    const checkpoint = await record();
    const ended = await keyhole('verify', ...(await filesOf(path)), '--checkpoint', checkpoint);
    expect(ended).toMatchObject({ code: 0, stdout: '8 lines in 2 chains: nothing was changed\n' });
  });

  test('names file and line of a change, and fails', async () => {
    await record();
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('alice@example.com', 'mallory@example.com'));
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)));
    expect(code).toBe(1);
    expect(stdout).toContain(`${path}:3: does not follow the line before it\n`);
  });

  test('finds a cut tail against the checkpoint', async () => {
    const checkpoint = await record();
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${lines.slice(0, 3).join('\n')}\n`);
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)), '--checkpoint', checkpoint);
    expect(code).toBe(1);
    expect(stdout).toMatch(/line 3 of chain [0-9a-f]{24} is not what the checkpoint says/);
  });

  test('takes a crash for what it is', async () => {
    await record();
    appendFileSync(path, '{"time":17');
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)));
    expect(code).toBe(0);
    expect(stdout).toContain('ends in a line that was cut');
  });

  test('says in a sentence what it cannot read, and what is no checkpoint', async () => {
    const missing = await keyhole('verify', 'none.ndjson');
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain('ENOENT');
    const wrong = await keyhole('verify', 'none.ndjson', '--checkpoint', 'abc');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toBe('--checkpoint: must be CHAIN:SEQUENCE:HASH, as the log tells it\n');
  });
});
