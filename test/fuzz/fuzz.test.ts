// strength.md §4: in CI some of its inputs, with KEYHOLE_FULL=1 all of them; others by `npm run fuzz`.
import { expect, test } from 'vitest';
import { seedOfThisRun } from '../access/random.js';
import { fuzz } from './target.js';
import { TARGETS } from './targets.js';

const SEED = seedOfThisRun();
const IS_FULL = process.env['KEYHOLE_FULL'] === '1';
/** Of all the inputs of a target. */
const MOST_MS = IS_FULL ? 3_600_000 : 60_000;

test.each(TARGETS)(
  `$name: whatever comes, nothing that was not predicted (seed ${SEED})`,
  async (target) => {
    const wanted = IS_FULL ? target.full : target.inCi;
    expect(await fuzz(target, { seed: SEED, goesOn: (tried) => tried < wanted })).toBe(wanted);
  },
  MOST_MS,
);
