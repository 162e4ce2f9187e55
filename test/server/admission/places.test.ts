// Places for work: how many are taken at once while a reload changes how many there are.
import { expect, test, vi } from 'vitest';
import { gate } from '../../gate.js';
import { Places, type PlaceCount } from '../../../src/server/admission/places.js';

const count = (places: number): PlaceCount => ({ places, waiting: 100, full: () => new Error('full') });

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Work that ends when it is told to. */
class Work {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, () => void>();

  readonly do = (name: string) => (): Promise<void> => {
    this.begun.push(name);
    return new Promise((resolve) => this.#ends.set(name, resolve));
  };

  /** Resolves once whoever takes the place has begun. */
  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await endOfTurn();
  }
}

test('fewer places are not handed on before as many are free', async () => {
  const places = new Places();
  const work = new Work();
  for (const name of ['a', 'b', 'c']) void places.during(count(3), work.do(name));
  for (const name of ['d', 'e', 'f']) void places.during(count(1), work.do(name));
  await endOfTurn();
  await work.end('a');
  await work.end('b');
  expect([work.begun, places.taken, places.waiting]).toEqual([['a', 'b', 'c'], 1, 3]);
  await work.end('c');
  expect(work.begun).toEqual(['a', 'b', 'c', 'd']);
  await work.end('d');
  await work.end('e');
  await work.end('f');
  expect([work.begun.length, places.taken, places.waiting]).toEqual([6, 0, 0]);
});

test('further places are for those who wait, before newcomers', async () => {
  const places = new Places();
  const work = new Work();
  for (const name of ['a', 'b', 'c']) void places.during(count(1), work.do(name));
  void places.during(count(3), work.do('newcomer'));
  await endOfTurn();
  expect([work.begun, places.taken, places.waiting]).toEqual([['a', 'b', 'c'], 3, 1]);
  await work.end('a');
  expect(work.begun).toEqual(['a', 'b', 'c', 'newcomer']);
});

test('a place that is lent is somebody else’s, and its own again once it is free', async () => {
  const places = new Places();
  const work = new Work();
  const lend = gate();
  const lender = places.during(count(1), (place) => place.lendUntil(lend.opened.then(() => 'there')));
  void places.during(count(1), work.do('other'));
  await endOfTurn();
  expect([work.begun, places.taken, places.waiting]).toEqual([['other'], 1, 0]);
  lend.open();
  await endOfTurn();
  expect([places.taken, places.waiting]).toEqual([1, 1]);
  await work.end('other');
  expect([await lender, places.taken]).toEqual(['there', 0]);
});

test('a place that was lent comes before those who wait, where there is no more room to wait, and as many as there are now', async () => {
  const places = new Places();
  const work = new Work();
  const lend = gate();
  void places.during(count(4), (place) => place.lendUntil(lend.opened).then(work.do('lender')));
  await endOfTurn();
  const few = { ...count(1), waiting: 1 };
  for (const name of ['a', 'b']) void places.during(few, work.do(name));
  await endOfTurn();
  lend.open();
  await endOfTurn();
  expect([work.begun, places.taken, places.waiting]).toEqual([['a'], 1, 2]);
  await work.end('a');
  expect([work.begun, places.taken, places.waiting]).toEqual([['a', 'lender'], 1, 1]);
  await work.end('lender');
  expect([work.begun, places.taken, places.waiting]).toEqual([['a', 'lender', 'b'], 1, 0]);
});

test('who lent a place and waited in vain, for the answer or for a place, leaves no place', async () => {
  const places = new Places();
  const work = new Work();
  const lost = places.during(count(1), (place) => place.lendUntil(Promise.reject(new Error('lost'))));
  await expect(lost).rejects.toThrow('lost');
  expect(places.taken).toBe(0);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const lend = gate();
  const late = places.during(count(1), (place) => place.lendUntil(lend.opened));
  const refused = expect(late).rejects.toThrow('full');
  await endOfTurn();
  void places.during(count(1), work.do('other'));
  lend.open();
  await endOfTurn();
  await vi.advanceTimersByTimeAsync(1_000);
  await refused;
  expect([work.begun, places.taken, places.waiting]).toEqual([['other'], 1, 0]);
  vi.useRealTimers();
});
