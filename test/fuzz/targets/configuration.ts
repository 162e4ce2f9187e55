// Files in place of a configuration: taken, or refused with sentences that quote no secret.
import { stringify } from 'yaml';
import { problemLine } from '../../../src/config/reading/problems.js';
import { GOOD, makeFolder } from '../../config/folder.js';
import { keepStream, plantSecret } from '../../streams.js';
import { anyValue, mutated, pick } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

const SECRET = plantSecret('fuzzed-configuration-91d4f7b2c0e6');
const LIKELY = [
  SECRET,
  '*',
  'local',
  'static',
  '127.0.0.1:0',
  'https://idp.example/',
  './keys.yaml',
  [SECRET],
];
const SECTIONS = [
  'listen',
  'publicUrl',
  'trustedProxies',
  'tls',
  'cors',
  'denied',
  'limits',
  'keys',
  'access',
];
const MORE = ['audit', 'metrics', '__proto__', SECRET];

export const configuration: FuzzTarget = {
  name: 'configuration',
  full: 50_000,
  inCi: 250,
  open: async () => {
    const folder = await makeFolder();
    const good = Buffer.from(stringify({ ...GOOD, publicUrl: SECRET }, { aliasDuplicateObjects: false }));
    return {
      try: async (random) => {
        const section = pick(random, [...SECTIONS, ...MORE]);
        const changed = {
          ...GOOD,
          [section]: anyValue(random, LIKELY, 4),
        };
        const text =
          random(2) === 0 ? mutated(good, random) : stringify(changed, { aliasDuplicateObjects: false });
        await folder.write('keyhole.yaml', text);
        const loaded = await folder.load({ env: { TEMPORAL_API_KEY: SECRET } });
        if ('config' in loaded) return;
        const said = loaded.problems.map(problemLine).join('\n');
        keepStream('fuzz-configuration', said);
        if (loaded.problems.length === 0) throw new Error('refused without a reason');
        if (said.includes(SECRET)) throw new Error('a secret was quoted');
      },
      close: () => folder.remove(),
    };
  },
};
