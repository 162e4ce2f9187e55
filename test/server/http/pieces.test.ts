// A body in pieces of any size is put together as it came, and takes up little more than its bytes.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Pieces } from '../../../src/server/http/pieces.js';
import { randomFrom, seedOfThisRun } from '../../access/random.js';

const SEED = seedOfThisRun();

function joinedFrom(pieces: readonly Buffer[]): Buffer {
  const all = new Pieces();
  for (const piece of pieces) all.add(piece);
  return all.joined();
}

test('nothing is nothing, and one piece is itself', () => {
  expect(joinedFrom([])).toHaveLength(0);
  const only = Buffer.from('{}');
  expect(joinedFrom([only])).toBe(only);
});

test(`pieces of any sizes come out in their order (seed ${SEED})`, () => {
  const below = randomFrom(SEED);
  for (let round = 0; round < 200; round += 1) {
    const sizes = Array.from(
      { length: below(40) },
      () => [1, 7, 4_095, 4_096, 16_384, 40_000][below(6)] ?? 1,
    );
    const pieces = sizes.map((size) => Buffer.alloc(size, below(256)));
    expect(joinedFrom(pieces).equals(Buffer.concat(pieces))).toBe(true);
  }
});

test('300,000 single bytes take up little more than that', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const pieces = new Pieces();
  const before = used();
  for (let at = 0; at < 300_000; at += 1) pieces.add(Buffer.from('x'));
  expect(used() - before).toBeLessThan(3_000_000);
  expect(pieces.joined()).toHaveLength(300_000);
});
