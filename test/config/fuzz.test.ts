// Whatever stands in the file: never an exception, never a secret in what is said about it.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { problemLine } from '../../src/config/reading/problems.js';
import { keepStream, plantSecret } from '../streams.js';
import { GOOD, makeFolder, type Folder } from './folder.js';

const SECRET = plantSecret('fuzzed-secret-c4e8a1f07b36');
const RUNS = 2_000;

let folder: Folder;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => folder.remove());

const scalar = fc.oneof(
  fc.constant(SECRET),
  fc.constant(`Bearer ${SECRET}`),
  fc.constantFrom('*', 'local', 'static', '127.0.0.1:0', 'https://idp.example/', './keys.yaml', '2027-06-30'),
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);
const key = fc.constantFrom(
  ...[
    'namespaces',
    'wrap',
    'provider',
    'file',
    'key',
    'secret',
    'preset',
    'issuer',
    'audience',
    'ca',
    'claims',
  ],
  ...[
    'people',
    'source',
    'roles',
    'may',
    'apiKeyFile',
    'origins',
    'cert',
    'listen',
    '__proto__',
    'constructor',
  ],
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5 }),
  ),
}));
const section = fc.constantFrom(
  ...['listen', 'publicUrl', 'trustedProxies', 'tls', 'cors', 'denied', 'limits', 'keys', 'access', 'audit'],
  ...['metrics', 'signIn', '__proto__'],
);

/** A good file with some of it replaced, at the top or further in. */
const document = fc
  .tuple(fc.dictionary(section, value, { maxKeys: 6 }), fc.boolean(), value, value)
  .map(([changes, deep, entry, issuer]) => ({
    ...GOOD,
    ...changes,
    ...(deep ? { keys: [entry], access: { ...GOOD.access, issuers: [issuer] } } : {}),
  }));

async function judge(content: string): Promise<void> {
  await folder.configure(content);
  const loaded = await folder.load({ env: { AWS_REGION: 'eu-west-1', TEMPORAL_API_KEY: SECRET } });
  if ('config' in loaded) return;
  const said = loaded.problems.map(problemLine).join('\n');
  keepStream('config-problems', said);
  expect(loaded.problems.length).toBeGreaterThan(0);
  expect(said).not.toContain(SECRET);
}

test('random documents are taken or refused, and never quoted', async () => {
  await fc.assert(
    fc.asyncProperty(document, (content) => judge(stringify(content, { aliasDuplicateObjects: false }))),
    { numRuns: RUNS },
  );
});

test('random damage to the text is taken or refused, and never quoted', async () => {
  const good = stringify({ ...GOOD, publicUrl: SECRET, limits: { payloads: SECRET } });
  const cut = fc.tuple(
    fc.nat(good.length),
    fc.nat(12),
    fc.constantFrom('', '*', '&a ', '!', '"', "'", '\t', '{', '[', '%', '\u0000', '---\n', `${SECRET}: `),
  );
  await fc.assert(
    fc.asyncProperty(cut, ([at, length, put]) => judge(good.slice(0, at) + put + good.slice(at + length))),
    { numRuns: RUNS },
  );
});
