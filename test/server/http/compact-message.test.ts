// A request's body comes out as it was sent, in few pieces however small its chunks are, before anybody asks for it too.
import { once } from 'node:events';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { CompactMessage } from '../../../src/server/http/compact-message.js';
import { randomFrom, seedOfThisRun } from '../../access/random.js';

const SEED = seedOfThisRun();

/** What comes out of a message that was handed these, by Node, before anybody listened. */
async function outOf(pieces: readonly Buffer[]): Promise<{ out: Buffer[]; message: CompactMessage }> {
  const message = new CompactMessage(new Socket());
  for (const piece of pieces) message.push(piece);
  message.push(null);
  const out: Buffer[] = [];
  message.on('data', (piece: Buffer) => out.push(piece));
  await once(message, 'end');
  return { out, message };
}

test('nothing is nothing, and what comes in one piece is not copied', async () => {
  expect((await outOf([])).out).toEqual([]);
  const only = Buffer.from('{}');
  const [piece] = (await outOf([only])).out;
  expect(piece?.buffer).toBe(only.buffer);
  expect(piece?.equals(only)).toBe(true);
});

test(`pieces of any sizes come out in their order (seed ${SEED})`, async () => {
  const below = randomFrom(SEED);
  for (let round = 0; round < 300; round += 1) {
    const sizes = Array.from(
      { length: below(40) },
      () => [1, 7, 4_095, 4_096, 16_384, 40_000][below(6)] ?? 1,
    );
    const pieces = sizes.map((size) => Buffer.alloc(size, below(256)));
    const { out } = await outOf(pieces);
    expect(Buffer.concat(out).equals(Buffer.concat(pieces))).toBe(true);
  }
});

test('100,000 single bytes are seven pieces, and far more than that many bytes need', async () => {
  const { out, message } = await outOf(Array.from({ length: 100_000 }, () => Buffer.from('x')));
  expect(out.map(({ length }) => length)).toEqual([...Array.from({ length: 6 }, () => 16_384), 1_696]);
  expect([message.pieces, message.isCrumbled]).toEqual([100_000, true]);
});

test.each([
  [1_000, 1],
  [20_000, 64],
])('%i pieces of %i bytes are not too many', async (count, bytes) => {
  const { message } = await outOf(Array.from({ length: count }, () => Buffer.alloc(bytes)));
  expect(message.isCrumbled).toBe(false);
});

test('two bytes between larger pieces take up little more than two bytes', () => {
  const message = new CompactMessage(new Socket());
  const large = Buffer.alloc(4_096);
  const before = process.memoryUsage().arrayBuffers;
  for (let at = 0; at < 2_000; at += 1) {
    message.push(Buffer.from('x'));
    message.push(Buffer.from('y'));
    message.push(large);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000);
  message.destroy();
});
