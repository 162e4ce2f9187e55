// `npm run fuzz -- [--minutes N] [--only TARGET] [--seed S] [--from I]`: each target in turn, until a crash or the time is up.
import { parseArgs } from 'node:util';
import { seedOfThisRun } from '../access/random.js';
import { fuzz } from './target.js';
import { TARGETS } from './targets.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '8' },
    only: { type: 'string' },
    seed: { type: 'string' },
    from: { type: 'string', default: '0' },
  },
});
const chosen = TARGETS.filter(({ name }) => values.only === undefined || values.only === name);
const seed = Number(values.seed ?? seedOfThisRun());
const eachMs = (Number(values.minutes) * 60_000) / chosen.length;
if (chosen.length === 0 || !Number.isFinite(seed + eachMs + Number(values.from))) {
  process.stderr.write(`targets: ${TARGETS.map(({ name }) => name).join(', ')}; the rest are numbers\n`);
  process.exit(2);
}
process.on('unhandledRejection', (error) => {
  throw error;
});

for (const target of chosen) {
  const endsMs = performance.now() + eachMs;
  const goesOn = (): boolean => performance.now() < endsMs;
  const tried = await fuzz(target, { seed, from: Number(values.from), goesOn });
  process.stdout.write(`${target.name}: ${tried} inputs, 0 crashes (seed ${seed})\n`);
}
