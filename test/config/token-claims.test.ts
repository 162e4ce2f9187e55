// `source: token-claims`: what it needs of issuers, and what goes with other sources only.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeFolder, GOOD, type Folder } from './folder.js';

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => folder.remove());

const ISSUER = { issuer: 'https://idp.example/', audience: 'keyhole' };

async function configure(roles: object, claims: object = {}): Promise<void> {
  const access = { ...GOOD.access, issuers: [{ ...ISSUER, claims }], roles };
  await folder.configure({ ...GOOD, access });
}

test('issuers need no e-mail domains, and say where roles stand', async () => {
  await configure(
    { source: 'token-claims', groups: { '/ops/admins': ['namespace:admin@orders'] } },
    { groups: ['realm_access', 'roles'] },
  );
  const { issuers, roles } = (await folder.config()).access;
  expect(roles).toEqual({ source: 'token-claims', groups: { '/ops/admins': ['namespace:admin@orders'] } });
  expect(issuers).toMatchObject([
    { roleClaims: { permissions: ['permissions'], groups: ['realm_access', 'roles'] } },
  ]);
});

test('what belongs to other sources is a mistake, and so is a grant that is none', async () => {
  await configure({
    source: 'token-claims',
    groups: { admins: ['root'], readers: ['claim:x@orders'] },
    people: {},
    apiKeyFile: './key',
    ca: './ca.pem',
  });
  expect((await folder.problems()).map((line) => line.slice(0, line.indexOf(': ')))).toEqual([
    'access.roles.people',
    'access.roles.ca',
    'access.roles.apiKeyFile',
    'access.roles.groups.admins[0]',
    'access.roles.groups.readers[0]',
  ]);
});

test('groups are for this source alone, and every other needs e-mail domains', async () => {
  await configure({ source: 'static', people: {}, groups: {} });
  expect(await folder.problems()).toEqual([
    'access.issuers[0].emailDomains: is required: roles are looked up by e-mail',
    'access.roles.groups: is only for source: token-claims',
  ]);
});
