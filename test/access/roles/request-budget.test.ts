// How many requests a second go out to the Operations API.
import { expect, test } from 'vitest';
import { RequestBudget } from '../../../src/access/roles/request-budget.js';
import { FakeClock } from '../fake-clock.js';
import { patient } from '../principals.js';

test('40 requests go out at once, then 10 a second, and never more however long it was quiet', async () => {
  const clock = new FakeClock();
  const waits: number[] = [];
  const pause = (ms: number): Promise<void> => {
    waits.push(ms);
    return Promise.resolve();
  };
  const budget = new RequestBudget({ perSecond: 10, burst: 40, clock, pause });
  const take = async (count: number): Promise<number[]> => {
    waits.length = 0;
    for (let index = 0; index < count; index += 1) await budget.take(patient());
    return waits.map(Math.round);
  };

  expect(await take(40)).toEqual([]);
  expect(await take(3)).toEqual([100, 200, 300]);
  clock.pass(300);
  expect(await take(1)).toEqual([100]);
  clock.pass(3_600_000);
  expect(await take(41)).toEqual([100]);
});

test('a wait ends when its caller gives up', async () => {
  const clock = new FakeClock();
  const pause = (_ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(new Error('given up'));
      });
    });
  const budget = new RequestBudget({ perSecond: 10, burst: 0, clock, pause });
  const caller = new AbortController();
  const taking = budget.take(caller.signal);
  caller.abort();
  await expect(taking).rejects.toThrow('given up');
});
