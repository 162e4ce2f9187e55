// `access.signIn` and `accept`: what a configuration may say of sessions, and every mistake with its place.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSignIn } from '../../src/config/open-sign-in.js';
import { plantSecret } from '../streams.js';
import { GOOD, makeFolder, type Folder } from './folder.js';

const CLIENT_SECRET = plantSecret('client-secret-5c0e91d7b3');
const SESSION_SECRET = plantSecret('session-secret-83bd60f2c1-83bd60f2c1');
const [ENTRY] = GOOD.access.issuers;
const SIGN_IN = {
  issuer: ENTRY.issuer,
  clientId: 'keyhole',
  clientSecretFile: 'client-secret',
  sessionSecretFile: 'session-secret',
};
const UI = { publicUrl: 'https://codec.example.com', cors: { origins: ['https://ui.example.com'] } };

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
  await folder.write('client-secret', `${CLIENT_SECRET}\n`);
  await folder.write('session-secret', `${SESSION_SECRET}\n`);
  await folder.write('open-secret', SESSION_SECRET, 0o644);
  await folder.write('short-secret', SESSION_SECRET.slice(0, 31));
  await folder.write('two-secrets', `${SESSION_SECRET} ${SESSION_SECRET}`);
});
afterAll(() => folder.remove());

function written(signIn: object | null, accept?: readonly string[], more: object = UI): object {
  const entry = { ...ENTRY, ...(accept === undefined ? {} : { accept }) };
  return { ...GOOD, ...more, access: { ...GOOD.access, issuers: [entry], signIn } };
}

async function problemsOf(...args: Parameters<typeof written>): Promise<string[]> {
  await folder.configure(written(...args));
  return folder.problems();
}

test('nobody signs in by default, nor with null', async () => {
  await folder.configure(GOOD);
  expect((await folder.config()).access.signIn).toBeUndefined();
  await folder.configure(written(null));
  expect((await folder.config()).access.signIn).toBeUndefined();
});

test('secrets are read from their files, without the newline at their end', async () => {
  await folder.configure(written(SIGN_IN, ['session']));
  const { access, warnings } = await folder.config();
  expect(access.signIn).toEqual({
    issuer: ENTRY.issuer,
    clientId: 'keyhole',
    clientSecret: CLIENT_SECRET,
    sessionSecret: SESSION_SECRET,
    scopes: ['openid', 'email'],
  });
  expect(access.issuers[0]).toMatchObject({ accept: ['session'] });
  expect(warnings.filter((warning) => warning.includes('SameSite'))).toEqual([]);
});

test.each<[string, object, string]>([
  ['scopes without openid', { scopes: ['email'] }, 'access.signIn.scopes: must have openid among them'],
  ['what is no scope', { scopes: ['openid', 'a b'] }, 'access.signIn.scopes[1]: must be a scope'],
  ['no session secret', { sessionSecretFile: undefined }, 'access.signIn.sessionSecretFile: is required'],
  ['no client secret', { clientSecretFile: undefined }, 'access.signIn.clientSecretFile: is required'],
  [
    'a secret that others can read',
    { sessionSecretFile: 'open-secret' },
    'access.signIn.sessionSecretFile: the file FOLDER/open-secret can be read by others, or written by its group: chmod 600',
  ],
  [
    'a short one',
    { sessionSecretFile: 'short-secret' },
    'access.signIn.sessionSecretFile: the secret in FOLDER/short-secret is shorter than 32 characters: openssl rand -base64 32',
  ],
  [
    'two in a file',
    { sessionSecretFile: 'two-secrets' },
    'access.signIn.sessionSecretFile: the file FOLDER/two-secrets does not hold one secret of printable ASCII',
  ],
  [
    'none at all',
    { clientSecretFile: 'missing' },
    'access.signIn.clientSecretFile: there is no such file in FOLDER',
  ],
  [
    'an issuer that is not trusted',
    { issuer: 'https://other.example/' },
    'access.signIn.issuer: must be the issuer of an entry of access.issuers that accepts session',
  ],
  [
    'a secret in the file itself',
    { clientSecret: 'x' },
    'access.signIn.clientSecret: a secret is never written into this file: give it by a variable, or by the path of a file',
  ],
])('%s is a mistake', async (_, change, problem) => {
  expect(await problemsOf({ ...SIGN_IN, ...change })).toEqual([problem.replace('FOLDER', folder.path)]);
});

test('an issuer that accepts only tokens signs nobody in', async () => {
  expect(await problemsOf(SIGN_IN, ['bearer'])).toEqual([
    'access.signIn.issuer: must be the issuer of an entry of access.issuers that accepts session',
  ]);
});

test('an issuer that accepts only sessions is there for sign-in, or for nothing', async () => {
  expect(await problemsOf(null, ['session'])).toEqual([
    `access.signIn: must name ${ENTRY.issuer}: its entry accepts only sessions`,
  ]);
});

test('accept takes bearer and session, and nothing else', async () => {
  expect(await problemsOf(null, ['cookie'])).toEqual([
    'access.issuers[0].accept[0]: must be one of bearer, session',
  ]);
});

test('sign-in is over https; over http for this machine alone, which is said', async () => {
  const http = { publicUrl: 'http://codec.example.com', cors: UI.cors };
  expect(await problemsOf(SIGN_IN, undefined, http)).toEqual([
    'publicUrl: must be an https address for access.signIn, or one of this machine',
  ]);
  for (const publicUrl of ['http://localhost:8080/_codec', 'http://127.0.0.1', 'http://[::1]:8080']) {
    await folder.configure(written(SIGN_IN, undefined, { ...http, publicUrl }));
    expect((await folder.config()).warnings.filter((warning) => warning.includes('cookie'))).toEqual([
      'publicUrl is http: the session cookie is not Secure, for pages of this machine alone',
    ]);
  }
});

test('that the cookie leaves its site is said at the start', async () => {
  const elsewhere = { ...UI, cors: { origins: ['https://cloud.temporal.io'] } };
  await folder.configure(written(SIGN_IN, undefined, elsewhere));
  expect((await folder.config()).warnings).toContain(
    'the session cookie is SameSite=None: of cors.origins, one is of another site than publicUrl',
  );
});

test('who signed out stays so over a reload, whatever else changed', async () => {
  await folder.configure(written(SIGN_IN));
  const first = openSignIn(await folder.config(), undefined)?.signIn.sessions;
  const line = await first?.open({ subject: 'idp|alice', issuer: ENTRY.issuer, email: 'alice@example.com' });
  const cookie = plantSecret(line?.split(';', 1)[0] ?? '');
  await folder.configure(written({ ...SIGN_IN, clientId: 'another' }));
  const opened = openSignIn(await folder.config(), undefined);
  expect(await opened?.signIn.sessions.of(cookie)).toBeDefined();
  opened?.signIn.sessions.end(await opened.signIn.sessions.of(cookie));
  await folder.configure(written(SIGN_IN));
  const reloaded = openSignIn(await folder.config(), opened);
  await expect(reloaded?.signIn.sessions.of(cookie)).rejects.toMatchObject({ code: 'token_expired' });
});

test('a reload that changes nothing of it keeps the sign-in', async () => {
  await folder.configure(written(SIGN_IN));
  const first = openSignIn(await folder.config(), undefined);
  expect(openSignIn(await folder.config(), first)).toBe(first);
  await folder.configure(written({ ...SIGN_IN, clientId: 'another' }));
  expect(openSignIn(await folder.config(), first)).not.toBe(first);
  await folder.configure(written(null));
  expect(openSignIn(await folder.config(), first)).toBeUndefined();
});
