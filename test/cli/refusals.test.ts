// strength.md §5: what must not run (each mistake by itself: test/config) is refused with 78, every reason at once, and no port is opened.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newLocalKeyFile } from '../../src/keys/providers/local.js';
import { API_KEY, GOOD, makeFolder, type Folder } from '../config/folder.js';
import { Command, run, type Ended } from './command.js';

const PRELOAD = fileURLToPath(new URL('says-when-listening.mjs', import.meta.url));
const SAYS_SO = { NODE_OPTIONS: `--import ${PRELOAD}` };
const LISTENS = 'a port was opened';
/** The key of Temporal's own samples. */
const PUBLISHED = Buffer.from('test-key-test-key-test-key-test!').toString('base64');

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
  await folder.write('twice.yaml', newLocalKeyFile('one') + newLocalKeyFile('one').replace('keys:\n', ''));
  await folder.write('published.yaml', `keys: [{ id: a, secret: "${PUBLISHED}" }]`);
});
afterAll(() => folder.remove());

async function serve(configuration: object, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  await folder.configure(configuration);
  return run(['serve'], { cwd: folder.path, env: { ...SAYS_SO, ...env } });
}

const local = (namespaces: string[], file = 'keys.yaml'): object => ({
  namespaces,
  wrap: { provider: 'local', file },
});

describe('keyhole serve refuses', () => {
  test('to run, with every reason it has, and opens no port', async () => {
    const { code, stdout, stderr } = await serve(
      {
        colour: 1,
        listen: '0.0.0.0:8081',
        cors: { origins: ['*', 'null', 'https://*.example', 'http://ui.example'] },
        limits: { bodyBytes: 1e9 },
        keys: [
          local(['a*', '*b']),
          { ...local(['orders.a1b2c', 'billing.a1b2c']), reads: ['encryption-jwt'] },
          local(['c'], 'none.yaml'),
          local(['d'], 'twice.yaml'),
          local(['e'], 'published.yaml'),
          { namespaces: ['f'], wrap: { provider: 'local', file: 'keys.yaml', secret: 'x' } },
        ],
        access: {
          issuers: [
            { issuer: 'http://idp.example/', jwks: 'http://idp.example/jwks', audience: '*' },
            { issuer: 'https://two.example/', audience: [], algorithms: ['HS256', 'none'] },
          ],
          roles: { apiKeyFile: 'keys.yaml', apiKey: 'x', freshSeconds: 301, staleSeconds: 901 },
          rules: [{ roles: ['namespace:boss'], may: ['decode'] }],
          signIn: { issuer: 'https://two.example/', clientId: 'keyhole' },
        },
        audit: { file: 'no/where.ndjson' },
      },
      {
        TEMPORAL_API_KEY: API_KEY,
        NODE_TLS_REJECT_UNAUTHORIZED: '0',
        NODE_OPTIONS: `${SAYS_SO.NODE_OPTIONS} --inspect=0 --insecure-http-parser`,
      },
    );
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).not.toContain(LISTENS);
    const told = stderr.split('\n').map((line) => line.split(': ')[0]);
    expect(told).toEqual(
      expect.arrayContaining([
        'NODE_TLS_REJECT_UNAUTHORIZED',
        'NODE_OPTIONS',
        'colour',
        'listen',
        ...[0, 1, 2, 3].map((index) => `cors.origins[${index}]`),
        'limits.bodyBytes',
        'keys[0].namespaces[1]',
        'keys[1].wrap',
        'keys[2].wrap.file',
        'keys[3].wrap.file',
        'keys[4].wrap.file',
        'keys[5].wrap.secret',
        'access.issuers[0].issuer',
        'access.issuers[0].jwks',
        'access.issuers[0].audience',
        'access.issuers[1].audience',
        'access.issuers[1].algorithms',
        'access.issuers[1].emailDomains',
        'access.roles.apiKey',
        'access.roles.freshSeconds',
        'access.roles.staleSeconds',
        'access.rules[0].roles[0]',
        'access.signIn.sessionSecretFile',
        'TEMPORAL_API_KEY',
        'audit.file',
      ]),
    );
    expect(stderr.match(/^NODE_OPTIONS: /gm)).toHaveLength(2);
  });

  test('a record that cannot be made and synced', async () => {
    const { code, stdout, stderr } = await serve({ ...GOOD, audit: { file: '/proc/audit.ndjson' } });
    const said =
      'audit.file: the file /proc/audit.ndjson cannot be made and synced in its directory (ENOENT)\n';
    expect({ code, stdout, stderr }).toEqual({ code: 78, stdout: '', stderr: said });
  });

  test('nothing of a configuration without a mistake: ports are seen to be opened', async () => {
    await folder.configure({ ...GOOD, listen: '127.0.0.1:0', metrics: { listen: '127.0.0.1:0' } });
    const command = new Command(['serve'], { cwd: folder.path, env: SAYS_SO });
    await command.says('stdout', /^\{"msg":"listening".*\}$/m);
    await command.says('stderr', new RegExp(`(${LISTENS}[^]*){2}`));
    await command.kill();
  });
});
