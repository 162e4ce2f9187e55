// Lists by name: which are forgotten, and for whom none is loaded.
import { describe, expect, test } from 'vitest';
import { CachedAnswer } from '../../../src/access/roles/cached-answer.js';
import { KeptAnswers } from '../../../src/access/roles/kept-answers.js';
import { systemClock } from '../../../src/clock.js';
import { FakeClock } from '../../fake-clock.js';
import { patient } from '../principals.js';

const loaded: string[] = [];

/** A list whose name begins with `slow` never comes, one whose name begins with `none` has no rows. */
function keptAnswers(most: number): KeptAnswers<readonly string[]> {
  loaded.splice(0);
  return new KeptAnswers(
    most,
    (name) =>
      new CachedAnswer({
        what: 'a list',
        load: async () => {
          loaded.push(name);
          if (name.startsWith('slow')) await new Promise(() => undefined);
          return { value: name.startsWith('none') ? [] : [name] };
        },
        freshMs: 60_000,
        staleMs: 60_000,
        clock: systemClock,
        onFailure: () => undefined,
      }),
  );
}

describe('where lists become too many', () => {
  test('those that hold nothing are forgotten before any that is in use', async () => {
    const kept = keptAnswers(3);
    await kept.of('in use').get(patient().signal);
    for (let index = 0; index < 10; index += 1)
      void kept
        .of(`slow ${index}`)
        .get(patient().signal)
        .catch(() => undefined);
    await kept.of('in use').get(patient().signal);
    expect(loaded.filter((name) => name === 'in use')).toHaveLength(1);
  });

  test('those without rows are forgotten before any that is in use, be it asked for ever so long ago', async () => {
    const kept = keptAnswers(3);
    await kept.of('in use').get(patient().signal);
    for (let index = 0; index < 10; index += 1) await kept.of(`none ${index}`).get(patient().signal);
    await kept.of('in use').get(patient().signal);
    expect(loaded.filter((name) => name === 'in use')).toHaveLength(1);
  });

  test('those that are not there are forgotten before any without rows, of which the least lately asked for goes', async () => {
    const kept = keptAnswers(3);
    for (const name of ['none 1', 'none 2', 'none 1']) await kept.of(name).get(patient().signal);
    for (const name of ['slow 1', 'slow 2', 'slow 3'])
      void kept
        .of(name)
        .get(patient().signal)
        .catch(() => undefined);
    for (const name of ['none 1', 'none 2']) await kept.of(name).get(patient().signal);
    expect(loaded).toEqual(['none 1', 'none 2', 'slow 1', 'slow 2', 'slow 3']);
    for (const name of ['none 1', 'none 3', 'none 4', 'none 1', 'none 2'])
      await kept.of(name).get(patient().signal);
    expect(loaded.slice(5)).toEqual(['none 3', 'none 4', 'none 2']);
  });

  test('one that had rows and has none any more, or the other way round, counts as what it is', async () => {
    const rows = new Map<string, readonly string[]>();
    const clock = new FakeClock();
    const kept = new KeptAnswers(
      2,
      (name) =>
        new CachedAnswer({
          what: 'a list',
          load: () => {
            loaded.push(name);
            return Promise.resolve({ value: rows.get(name) ?? [] });
          },
          freshMs: 60_000,
          staleMs: 60_000,
          clock,
          onFailure: () => undefined,
        }),
    );
    rows.set('a', ['row']);
    for (const name of ['a', 'b']) await kept.of(name).get(patient().signal);
    rows.clear();
    rows.set('b', ['row']);
    clock.pass(60_000);
    for (const name of ['b', 'a']) await kept.of(name).get(patient().signal);
    loaded.splice(0);
    for (const name of ['c', 'b', 'a']) await kept.of(name).get(patient().signal);
    expect(loaded).toEqual(['c', 'a']);
  });

  test('of those that hold something the one goes that was asked for least lately', async () => {
    const kept = keptAnswers(2);
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await kept.of(name).get(patient().signal);
    expect(loaded).toEqual(['a', 'b', 'c', 'b']);
  });
});

describe('for a caller who may not wait', () => {
  test('no list is loaded, and one that is there is answered', async () => {
    const kept = keptAnswers(2);
    const refused = AbortSignal.abort(new Error('refused'));
    await expect(kept.of('a').get(refused)).rejects.toThrow('refused');
    expect(loaded).toEqual([]);
    await kept.of('a').get(patient().signal);
    expect((await kept.of('a').get(refused)).value).toEqual(['a']);
  });
});
