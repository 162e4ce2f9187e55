// `access.credentials`: what is one, and every mistake with its path.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSecret } from '../../src/access/tokens/credentials.js';
import { GOOD, makeFolder, type Folder } from './folder.js';

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => folder.remove());

const { sha256 } = createSecret();
const CI = { name: 'ci', sha256, roles: ['namespace:write@orders.a1b2c'], expires: '2027-06-30' };

async function configure(credentials: unknown): Promise<void> {
  await folder.configure({ ...GOOD, access: { ...GOOD.access, credentials } });
}

test('a credential counts to the end of its last day in UTC', async () => {
  await configure([CI]);
  expect((await folder.config()).access.credentials).toEqual([
    { name: 'ci', sha256, roles: CI.roles, expiresAtMs: Date.parse('2027-07-01T00:00:00Z') },
  ]);
});

test('every mistake is told with its path, and no secret is quoted', async () => {
  const { secret } = createSecret();
  await configure([
    CI,
    { ...CI, roles: ['root'], expires: 'never' },
    { name: 'c i', sha256: secret, roles: [] },
    { ...CI, name: 'inline', secret },
  ]);
  const problems = await folder.problems();
  expect(problems.join('\n')).not.toContain(secret);
  const paths = problems.map((line) => line.slice(0, line.indexOf(':')));
  expect(paths).toEqual(
    expect.arrayContaining([
      'access.credentials[1].name',
      'access.credentials[1].sha256',
      'access.credentials[1].roles[0]',
      'access.credentials[1].expires',
      'access.credentials[2].name',
      'access.credentials[2].sha256',
      'access.credentials[2].roles',
      'access.credentials[2].expires',
      'access.credentials[3].secret',
    ]),
  );
});

test('one that has expired is told', async () => {
  await configure([CI]);
  const warnings = async (now: string): Promise<readonly string[]> =>
    (await folder.config({ nowMs: Date.parse(now) })).warnings.filter((line) => line.includes('expired'));
  expect(await warnings('2027-06-30T23:59:59Z')).toEqual([]);
  expect(await warnings('2027-07-01')).toEqual([
    'access.credentials[0]: ci has expired: whoever sends it is refused',
  ]);
});
