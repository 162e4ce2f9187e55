// A short soak: each disturbance once, and again until each kind of answer was seen. Longer by `npm run soak`.
import { expect, test } from 'vitest';
import { seedOfThisRun } from '../access/random.js';
import { describeWithParts } from '../parts/available.js';
import { soak } from './soak.js';

const SEED = seedOfThisRun();
const DISTURBANCES = 22;
const MOST_ROUNDS = 4;

describeWithParts(['moto'], 'among faults, revocations and grants', () => {
  test(`whoever saw plaintext had a right to it and is on record (seed ${SEED})`, async () => {
    const { violations, opened, withheld, refused, unavailable, changes } = await soak({
      seed: SEED,
      longestMs: 150,
      goesOn: ({ disturbances, unavailable }) =>
        disturbances < DISTURBANCES || (unavailable === 0 && disturbances < MOST_ROUNDS * DISTURBANCES),
    });
    expect(violations).toEqual([]);
    const none = Object.entries({ opened, withheld, refused, unavailable, changes }).filter(
      ([, n]) => n === 0,
    );
    expect(none).toEqual([]);
  });
});
