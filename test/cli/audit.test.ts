// `keyhole audit` as a child process, over files that the server's own log wrote.
import { appendFileSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkpointText } from '../../src/access/audit/checkpoints.js';
import { openAuditFile } from '../../src/access/audit/file-audit-log.js';
import { auditEvent, filesOf, visit, WRITER } from '../access/audit/events.js';
import { FakeClock } from '../fake-clock.js';
import { Command, type Ended } from './command.js';

const STRANGER = {
  requestId: 's',
  route: 'decode',
  status: 401,
  code: 'token_missing',
  message: 'send your access token',
  address: '203.0.113.7',
  namespace: 'orders.a1b2c',
};

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

/** Two runs of a server, of three records each; answers the checkpoint of each stop. */
async function record(): Promise<string[]> {
  const told: string[] = [];
  for (const run of ['a', 'b']) {
    const log = await openAuditFile(path, {
      writer: WRITER,
      onCheckpoint: (checkpoint) => told.push(checkpointText(checkpoint)),
    });
    for (const id of ['1', '2', '3']) await log.append(auditEvent(`${run}${id}`));
    await log.close();
  }
  return told;
}

function flags(checkpoints: readonly string[]): string[] {
  return checkpoints.flatMap((checkpoint) => ['--checkpoint', checkpoint]);
}

describe('keyhole audit verify', () => {
  test('finds nothing wrong with what a server wrote, and says which tails are not proven', async () => {
    await record();
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^(tail not proven[^\n]*\n){2}8 lines in 2 chains: nothing was changed, as far as it is proven\n$/,
    );
  });

  test('proves the tails too with the checkpoints of both stops', async () => {
    const checkpoints = await record();
    const ended = await keyhole('verify', ...(await filesOf(path)), ...flags(checkpoints));
    expect(ended).toMatchObject({ code: 0, stdout: '8 lines in 2 chains: nothing was changed\n' });
  });

  test('takes what follows a checkpoint for a file', async () => {
    const checkpoints = await record();
    const { code, stdout } = await keyhole('verify', ...flags(checkpoints), ...(await filesOf(path)));
    expect({ code, stdout }).toEqual({ code: 0, stdout: '8 lines in 2 chains: nothing was changed\n' });
  });

  test('names file and line of a change, and fails', async () => {
    await record();
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('alice@example.com', 'mallory@example.com'));
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)));
    expect(code).toBe(1);
    expect(stdout).toContain(`${path}:2: is not the one that line 3 names\n`);
    expect(stdout).toMatch(/: 1 mistake\n$/);
  });

  test('finds a cut tail against the checkpoint', async () => {
    const checkpoints = await record();
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${lines.slice(0, 3).join('\n')}\n`);
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)), ...flags(checkpoints));
    expect(code).toBe(1);
    expect(stdout).toMatch(/line 3 of chain [0-9a-f]{24} is missing: a checkpoint names it/);
  });

  test('takes a crash for what it is', async () => {
    await record();
    appendFileSync(path, '{"time":17');
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)));
    expect(code).toBe(0);
    expect(stdout).toContain('ends in a line that was cut');
  });

  test('finds lines that were cut while the server was down, though the next start took over what was left', async () => {
    const checkpoints = await record();
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${lines.slice(0, 3).join('\n')}\n`);
    await record();
    const { code, stdout } = await keyhole('verify', ...(await filesOf(path)), ...flags(checkpoints));
    expect(code).toBe(1);
    expect(stdout).toMatch(/line 3 of chain [0-9a-f]{24} is missing: a checkpoint names it/);
  });

  test('proves the chains of several servers together, told how many there are', async () => {
    await record();
    const other = join(directory, 'other.ndjson');
    const log = await openAuditFile(other, { writer: WRITER });
    await log.append(auditEvent('o1'));
    await log.close();
    const files = await filesOf(path);
    const together = await keyhole('verify', '--instances', '2', ...files);
    expect([together.code, together.stdout.split('\n').at(-2)]).toEqual([
      0,
      '10 lines in 3 chains: nothing was changed, as far as it is proven',
    ]);
    expect((await keyhole('verify', ...files)).code).toBe(1);
    expect((await keyhole('verify', '--instances', '0', ...files)).code).toBe(2);
  });

  test('lets neither the name of a file nor what is in it write on the terminal', async () => {
    const named = join(directory, 'a\u{1b}[2K\n0 mistakes');
    await writeFile(named, '{"unmapped":"\\u001b[2K"}\n');
    const { code, stdout } = await keyhole('verify', named);
    expect(code).toBe(1);
    expect(stdout).toContain(
      'a\\u{1b}[2K\\u{a}0 mistakes: is no record: none of its lines is one\n1 line in 0 chains: 1 mistake\n',
    );
    const missing = await keyhole('verify', `${named}\u{1b}`);
    expect(missing.stderr).toContain('no such file');
    expect(missing.stderr).not.toContain('\u{1b}');
  });

  test('says in a sentence what it cannot read, and what is no checkpoint', async () => {
    const missing = await keyhole('verify', 'none.ndjson');
    expect(missing).toMatchObject({ code: 1, stderr: 'none.ndjson: no such file\n' });
    const folder = await keyhole('verify', directory);
    expect([folder.code, folder.stderr]).toEqual([
      1,
      'a directory is no file of a record: name the files in it\n',
    ]);
    const wrong = await keyhole('verify', 'none.ndjson', '--checkpoint', 'abc');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toBe('--checkpoint: must be CHAIN:SEQUENCE:HASH, as the log tells it\n');
  });
});

describe('keyhole audit report', () => {
  const { who, namespace } = auditEvent('r');
  const bob = { ...who, subject: 'saml|b\u{1b}[2J', email: undefined };
  const carol = { ...who, subject: 'auth0|carol', email: 'carol@example.com' };
  const billing = { ...namespace, claimed: 'billing.a1b2c' };
  const nothing = { opened: 0, sealed: 0, passed: 0, failed: 0, refused: 3 };
  const clock = new FakeClock();

  beforeEach(async () => {
    const log = await openAuditFile(path, { writer: WRITER, clock });
    clock.wallMs = Date.parse('2026-11-20T10:00:00Z');
    await log.append(auditEvent('1'));
    await log.append(auditEvent('2', { namespace: billing, keys: ['alias/billing', 'alias/old'] }));
    clock.wallMs = Date.parse('2026-11-24T10:00:00Z');
    await log.append(
      auditEvent('3', {
        who: bob,
        status: 403,
        outcome: 'role_missing',
        why: undefined,
        keys: [],
        payloads: nothing,
      }),
    );
    await log.appendVisit(visit('sign-in', { who: carol }));
    await log.appendVisit(visit('sign-in'));
    await log.appendVisit(visit('look'));
    for (const requestId of ['s1', 's2', 's3']) log.refused({ ...STRANGER, requestId });
    await log.close();
  });

  const row = (name: string, figures: readonly number[], last: string): Record<string, unknown> => {
    const [requests, refused, opened, sealed, signIns = 0] = figures;
    return { name, requests, refused, opened, sealed, signIns, lastMs: Date.parse(last) };
  };

  test.each<[by: string, rows: readonly Record<string, unknown>[]]>([
    [
      'person',
      [
        row('alice@example.com', [2, 0, 4, 0, 1], '2026-11-24T10:00:00Z'),
        row('saml|b\u{1b}[2J of https://idp.example/', [1, 1, 0, 0], '2026-11-24T10:00:00Z'),
        row('carol@example.com', [0, 0, 0, 0, 1], '2026-11-24T10:00:00Z'),
      ],
    ],
    [
      'namespace',
      [
        row('orders.a1b2c', [2, 1, 2, 0], '2026-11-24T10:00:00Z'),
        row('billing.a1b2c', [1, 0, 2, 0], '2026-11-20T10:00:00Z'),
      ],
    ],
    [
      'key',
      ['alias/orders_a1b2c', 'alias/billing', 'alias/old'].map((name) =>
        row(name, [1, 0, 2, 0], '2026-11-20T10:00:00Z'),
      ),
    ],
    [
      'rule',
      [
        row('rules[0] namespace:admin (temporal-cloud)', [2, 0, 4, 0], '2026-11-20T10:00:00Z'),
        row('none', [1, 1, 0, 0], '2026-11-24T10:00:00Z'),
      ],
    ],
    ['stranger', [row('203.0.113.0/24 token_missing', [3, 3, 0, 0], '2026-11-24T10:00:00Z')]],
  ])('by %s counts requests, refusals, payloads and sign-ins', async (by, rows) => {
    const { code, stdout } = await keyhole('report', '--by', by, '--json', path);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(rows);
  });

  test('counts what was opened of another namespace than the requested one there, under its own rule', async () => {
    const log = await openAuditFile(path, { writer: WRITER, clock });
    const payloads = { ...nothing, opened: 7, refused: 0 };
    const reason = { role: 'namespace:admin', source: 'temporal-cloud', ageMs: 0 };
    const alsoOpened = [
      { namespace: 'billing.a1b2c', payloads: 1, rule: 1, ...reason },
      { namespace: 'stock.a1b2c', payloads: 2, rule: 0, ...reason },
      { namespace: 'tax.a1b2c', payloads: 3, rule: 1, ...reason },
    ];
    await log.append(auditEvent('4', { alsoOpened, payloads }));
    await log.close();
    const reported = async (by: string): Promise<string[]> => {
      const { stdout } = await keyhole('report', '--since', '2026-11-24', '--by', by, '--json', path);
      return (
        JSON.parse(stdout) as { name: string; requests: number; refused: number; opened: number }[]
      ).map(({ name, requests, refused, opened }) => `${name} ${requests} ${refused} ${opened}`);
    };
    expect(await reported('namespace')).toEqual([
      'tax.a1b2c 1 0 3',
      'stock.a1b2c 1 0 2',
      'orders.a1b2c 1 0 1',
      'billing.a1b2c 1 0 1',
    ]);
    expect(await reported('rule')).toEqual([
      'rules[1] namespace:admin (temporal-cloud) 1 0 4',
      'rules[0] namespace:admin (temporal-cloud) 1 0 3',
    ]);
    expect(await reported('person')).toEqual(['alice@example.com 1 0 7']);
  });

  test('is a table for people, in which nothing that a caller chose moves the cursor', async () => {
    const { stdout } = await keyhole('report', path);
    expect(stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      'person requests refused opened sealed sign-ins last',
      'alice@example.com 2 0 4 0 1 2026-11-24T10:00:00.000Z',
      'saml|b\\u{1b}[2J of https://idp.example/ 1 1 0 0 0 2026-11-24T10:00:00.000Z',
      'carol@example.com 0 0 0 0 1 2026-11-24T10:00:00.000Z',
      '',
    ]);
  });

  test('counts from a day on, and over what was kept of earlier chains', async () => {
    const log = await openAuditFile(path, { writer: WRITER, clock });
    await log.append(auditEvent('4'));
    await log.close();
    const since = ['--since', '2026-11-24', '--json'];
    const { stdout } = await keyhole('report', ...since, ...(await filesOf(path)));
    const named = (JSON.parse(stdout) as { name: string; requests: number }[]).map(
      ({ name, requests }) => `${name} ${requests}`,
    );
    expect(named).toEqual([
      'alice@example.com 1',
      'saml|b\u{1b}[2J of https://idp.example/ 1',
      'carol@example.com 0',
    ]);
  });

  const configure = (): Promise<void> =>
    writeFile(
      join(directory, 'keyhole.yaml'),
      JSON.stringify({
        audit: { file: 'audit.ndjson' },
        keys: [
          {
            namespaces: ['orders'],
            wrap: { provider: 'aws-kms', key: 'arn:aws:kms:eu-west-1:111122223333:alias/orders' },
          },
        ],
        access: {
          issuers: [{ issuer: 'https://idp.example/', audience: 'keyhole', emailDomains: ['example.com'] }],
          roles: { source: 'static', people: {} },
        },
      }),
    );

  test('finds the files by the configuration, and says which', async () => {
    await configure();
    const { code, stdout, stderr } = await keyhole('report', '--by', 'namespace');
    expect({ code, stderr }).toEqual({ code: 0, stderr: `read ${path}\n` });
    expect(stdout).toContain('billing.a1b2c');
  });

  test('says that an earlier chain was not found, where its file was renamed', async () => {
    await configure();
    await rename(path, `${path}.1`);
    expect((await keyhole('report')).stderr).toBe('there is no record yet\n');
    await copyFile(`${path}.1`, path);
    await (await openAuditFile(path, { writer: WRITER })).close();
    const [kept = ''] = (await filesOf(path)).filter((file) => /-[0-9a-f]{24}\.ndjson$/.test(file));
    expect((await keyhole('report')).stderr).toBe(`read ${kept}\nread ${path}\n`);
    await rename(kept, `${path}.2`);
    expect((await keyhole('report')).stderr).toMatch(
      /^read [^\n]*\nchain [0-9a-f]{24}, named as an earlier one, is not among them: name its file as well\n$/,
    );
    expect((await keyhole('report', path)).stderr).toBe('');
  });

  test('says what it does not understand', async () => {
    expect(await keyhole('report', '--since', 'yesterday', path)).toMatchObject({
      code: 2,
      stderr: '--since: must be a day or time, as 2026-11-24, or an age, as 24h or 7d\n',
    });
    expect((await keyhole('report', '--by', 'colour', path)).code).toBe(2);
    await writeFile(path, 'not a record\n');
    expect(await keyhole('report', '--json', path)).toMatchObject({
      code: 0,
      stdout: '[]\n',
      stderr: '1 line is no line of a record\n',
    });
  });
});
