// `who-can`, `explain` and `credential create`, as operators start them.
import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { GOOD, makeFolder, type Folder } from '../config/folder.js';
import { run, type Ended } from './command.js';

const ORDERS = 'orders.a1b2c';
let folder: Folder;

beforeAll(async () => {
  folder = await makeFolder();
  await folder.configure({
    ...GOOD,
    access: {
      ...GOOD.access,
      roles: {
        source: 'static',
        people: {
          'alice@example.com': [`namespace:admin@${ORDERS}`],
          'bob@example.com': [`namespace:write@${ORDERS}`],
          'owner@example.com': ['account:owner'],
          'mallory@other.example': ['account:owner'],
        },
      },
      credentials: [
        {
          name: 'ci',
          sha256: hash('sha256', 'a'),
          roles: [`namespace:write@${ORDERS}`],
          expires: '2999-01-01',
        },
        { name: 'old', sha256: hash('sha256', 'b'), roles: ['account:owner'], expires: '2020-01-01' },
      ],
    },
  });
});
afterAll(() => folder.remove());

const keyhole = (...args: readonly string[]): Promise<Ended> => run(args, { cwd: folder.path });

describe('keyhole who-can', () => {
  test('names everybody who may, the rule, the role and the source', async () => {
    const { code, stdout } = await keyhole('who-can', 'encode', ORDERS);
    expect({ code, lines: stdout.trimEnd().split('\n') }).toEqual({
      code: 0,
      lines: [
        'alice@example.com: access.rules[0] allows it to namespace:admin, from static',
        'bob@example.com: access.rules[1] allows it to namespace:write, from static',
        'owner@example.com: access.rules[0] allows it to account:owner, from static',
        'credential ci: access.rules[1] allows it to namespace:write, from credentials',
      ],
    });
  });

  test('leaves out whom no issuer vouches for, and credentials that have expired', async () => {
    const { stdout } = await keyhole('who-can', 'decode', ORDERS);
    expect(stdout.split('\n').map((line) => line.slice(0, line.indexOf(':')))).toEqual([
      'alice@example.com',
      'owner@example.com',
      '',
    ]);
  });

  test('ends with 2 for an action that there is not', async () => {
    expect((await keyhole('who-can', 'read', ORDERS)).code).toBe(2);
  });
});

describe('keyhole explain', () => {
  test('says why somebody may', async () => {
    const { code, stdout } = await keyhole('explain', '--as', 'Alice@Example.com', 'decode', ORDERS);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `Alice@Example.com may decode in ${ORDERS}: access.rules[0] allows it to namespace:admin, from static\n`,
    });
  });

  test('says what is missing to somebody who may not', async () => {
    const { code, stdout } = await keyhole('explain', '--as', 'bob@example.com', 'decode', ORDERS);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^bob@example\.com may not decode in orders\.a1b2c: .* you need one of: .*namespace:admin \(role_missing, from static\)\n$/,
    );
  });

  test('says that nobody vouches for somebody, where the server would not count their e-mail', async () => {
    const { code, stdout } = await keyhole('explain', '--as', 'Mallory@Other.example', 'decode', ORDERS);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        `Mallory@Other.example may not decode in ${ORDERS}: no issuer vouches for e-mails of other.example: ` +
        'setting access.issuers[].emailDomains (email_missing, from static)\n',
    });
  });

  test.each([
    [
      'ci',
      `credential ci may encode in ${ORDERS}: access.rules[1] allows it to namespace:write, from credentials\n`,
    ],
    ['old', `credential old may not encode in ${ORDERS}: it has expired (token_expired, from credentials)\n`],
  ])('says what the credential %s may', async (name, line) => {
    const { code, stdout } = await keyhole('explain', '--credential', name, 'encode', ORDERS);
    expect({ code, stdout }).toEqual({ code: 0, stdout: line });
  });

  test.each([
    ['text that is no e-mail', ['--as', 'alice'], 'an e-mail is written as rita@example.com'],
    ['a credential that there is not', ['--credential', 'di'], 'must be one of access.credentials: ci, old'],
    ['nobody', [], '--as EMAIL, or --credential NAME'],
    ['two at once', ['--as', 'a@b.c', '--credential', 'ci'], "cannot be used with option '--as <email>'"],
  ])('ends with 2 for %s', async (_what, whom, sentence) => {
    const { code, stdout, stderr } = await keyhole('explain', ...whom, 'decode', ORDERS);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });

  test('ends with 78 and every mistake where the configuration is not good', async () => {
    await folder.write('bad.yaml', 'denied: maybe\n');
    const { code, stderr } = await keyhole('explain', '--as', 'a@b.c', 'decode', ORDERS, '-c', 'bad.yaml');
    expect(code).toBe(78);
    expect(stderr).toContain('denied: must be one of');
  });

  test('ends with 1, answers nothing, and says why in a sentence, where the source of roles cannot be asked', async () => {
    const access = { ...GOOD.access, account: 'a1b2c', roles: { source: 'temporal-cloud' } };
    await folder.write('cloud.yaml', JSON.stringify({ ...GOOD, access }));
    const env = { TEMPORAL_API_KEY: 'any', TEMPORAL_OPS_ADDRESS: '127.0.0.1:1' };
    const { code, stdout, stderr } = await run(
      ['explain', '--as', 'a@example.com', 'decode', ORDERS, '-c', 'cloud.yaml'],
      { cwd: folder.path, env },
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^the roles of Temporal Cloud users cannot be had now: the Cloud Operations API did not tell [^\n]*UNAVAILABLE[^\n]*\n$/,
    );
  });
});

describe('keyhole credential create', () => {
  test('shows the secret once, on stdout, and the entry with its hash on stderr', async () => {
    const { code, stdout, stderr } = await keyhole(
      ...['credential', 'create', 'deploy', '--role', `namespace:write@${ORDERS}`, '--expires', '2999-06-30'],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^kh_[A-Za-z0-9_-]{43}\n$/);
    expect(stderr).not.toContain(stdout.trim());
    expect(parse(stderr.split('\n')[1] ?? '')).toEqual([
      {
        name: 'deploy',
        sha256: hash('sha256', stdout.trim()),
        roles: [`namespace:write@${ORDERS}`],
        expires: '2999-06-30',
      },
    ]);
  });

  test.each([
    ['no role', ['ci', '--expires', '2999-06-30']],
    ['no last day', ['ci', '--role', 'account:owner']],
    ['a role that there is not', ['ci', '--role', 'root', '--expires', '2999-06-30']],
    ['a day that there is not', ['ci', '--role', 'account:owner', '--expires', '2027-02-30']],
    ['a day that has passed', ['ci', '--role', 'account:owner', '--expires', '2026-06-30']],
    ['a name that cannot be one', ['c i', '--role', 'account:owner', '--expires', '2999-06-30']],
  ])('makes nothing with %s', async (_what, args) => {
    const { code, stdout } = await keyhole('credential', 'create', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});
