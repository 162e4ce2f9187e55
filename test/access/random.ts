// Random numbers that come again for the same seed.

/** A whole number from 0, below the bound. */
export type Random = (below: number) => number;

/** `KEYHOLE_TEST_SEED`, or another one each run: tests print it in their names. */
export function seedOfThisRun(): number {
  return Number(process.env['KEYHOLE_TEST_SEED'] ?? Date.now() % 2 ** 31);
}

/** mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** So much with `KEYHOLE_FULL=1`, a twentieth of it else. */
export function volume(full: number): number {
  return process.env['KEYHOLE_FULL'] === '1' ? full : full / 20;
}
