// Turns of the event loop in which connections come: little work begins in them, and none is forgotten.
import { beforeEach, expect, test } from 'vitest';
import { ShortTurns } from '../../../src/server/admission/short-turns.js';

let turns: ShortTurns;
let began: number[];
beforeEach(() => {
  turns = new ShortTurns();
  began = [];
});

function ask(...requests: readonly number[]): void {
  const list = began;
  for (const request of requests) void turns.mayBegin().then(() => list.push(request));
}

/** Ends once the turn has ended, and what it began has run. */
async function nextTurn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('all work begins together at the end of its turn where no connection comes', async () => {
  ask(1, 2, 3, 4, 5);
  await Promise.resolve();
  expect(began).toEqual([]);
  await nextTurn();
  expect(began).toEqual([1, 2, 3, 4, 5]);
});

test('while connections come, two begin in each turn, first come, first served', async () => {
  turns.connected();
  ask(1, 2, 3, 4, 5, 6, 7);
  await Promise.resolve();
  expect(began).toEqual([1, 2]);
  await nextTurn();
  expect(began).toEqual([1, 2, 3, 4]);
  ask(8);
  turns.connected();
  await nextTurn();
  expect(began).toEqual([1, 2, 3, 4, 5, 6]);
});

test('once none came in a turn, all begin that wait', async () => {
  turns.connected();
  ask(1, 2, 3, 4, 5, 6, 7);
  await nextTurn();
  expect(began).toEqual([1, 2, 3, 4]);
  await nextTurn();
  expect(began).toEqual([1, 2, 3, 4, 5, 6, 7]);
  ask(8, 9, 10);
  await nextTurn();
  expect(began).toHaveLength(10);
});
