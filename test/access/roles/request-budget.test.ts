// How many requests a second go out to the Operations API, and whose turn it is when they are too few.
import { expect, test } from 'vitest';
import { RequestBudget, type Lane } from '../../../src/access/roles/request-budget.js';
import { FakeClock } from '../../fake-clock.js';
import { patient } from '../principals.js';

test('40 requests go out at once, then 10 a second, and never more however long it was quiet', async () => {
  const clock = new FakeClock();
  const waits: number[] = [];
  const pause = (ms: number): Promise<void> => {
    waits.push(ms);
    clock.pass(ms);
    return Promise.resolve();
  };
  const budget = new RequestBudget({ perSecond: 10, burst: 40, clock, pause });
  const take = async (count: number): Promise<number[]> => {
    waits.length = 0;
    await Promise.all(Array.from({ length: count }, () => budget.take(patient().signal)));
    return waits.map(Math.round);
  };

  expect(await take(40)).toEqual([]);
  expect(await take(3)).toEqual([100, 100, 100]);
  clock.pass(50);
  expect(await take(1)).toEqual([50]);
  clock.pass(3_600_000);
  expect(await take(41)).toEqual([100]);
});

test('of ten requests while there are too few, seven are for lists in use, whoever came first', async () => {
  const turns: Lane[] = [];
  const budget = new RequestBudget({
    perSecond: 10,
    burst: 0,
    clock: new FakeClock(),
    pause: () => Promise.resolve(),
  });
  const take = (lane: Lane): Promise<void> =>
    budget.take(patient().signal, lane).then(() => {
      turns.push(lane);
    });
  await Promise.all(
    [...Array<Lane>(30).fill('new'), ...Array<Lane>(30).fill('in-use')].map((lane) => take(lane)),
  );
  for (let from = 0; from < 40; from += 10) {
    expect(turns.slice(from, from + 10).filter((lane) => lane === 'in-use')).toHaveLength(7);
  }
  expect(turns.slice(44)).toEqual(Array(16).fill('new'));
});

test('a wait ends when its caller gives up, and the next one gets the request', async () => {
  let open: () => void = () => undefined;
  const pause = (): Promise<void> => new Promise((resolve) => (open = resolve));
  const budget = new RequestBudget({ perSecond: 10, burst: 0, clock: new FakeClock(), pause });
  const caller = new AbortController();
  const [first, second] = [budget.take(caller.signal), budget.take(patient().signal)];
  caller.abort(new Error('given up'));
  await expect(first).rejects.toThrow('given up');
  open();
  await second;
});
