// Lists by name: which are forgotten, and for whom none is loaded.
import { describe, expect, test } from 'vitest';
import { CachedAnswer } from '../../../src/access/roles/cached-answer.js';
import { KeptAnswers } from '../../../src/access/roles/kept-answers.js';
import { systemClock } from '../../../src/clock.js';
import { patient } from '../principals.js';

const loaded: string[] = [];

function keptAnswers(most: number): KeptAnswers<string> {
  loaded.splice(0);
  return new KeptAnswers(
    most,
    (name) =>
      new CachedAnswer({
        what: 'a list',
        load: async () => {
          loaded.push(name);
          if (name.startsWith('slow')) await new Promise(() => undefined);
          return { value: name };
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
    await kept.of('in use').get(patient());
    for (let index = 0; index < 10; index += 1)
      void kept
        .of(`slow ${index}`)
        .get(patient())
        .catch(() => undefined);
    await kept.of('in use').get(patient());
    expect(loaded.filter((name) => name === 'in use')).toHaveLength(1);
  });

  test('of those that hold something the one goes that was asked for least lately', async () => {
    const kept = keptAnswers(2);
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await kept.of(name).get(patient());
    expect(loaded).toEqual(['a', 'b', 'c', 'b']);
  });
});

describe('for a caller who may not wait', () => {
  test('no list is loaded, and one that is there is answered', async () => {
    const kept = keptAnswers(2);
    const refused = AbortSignal.abort(new Error('refused'));
    await expect(kept.of('a').get(refused)).rejects.toThrow('refused');
    expect(loaded).toEqual([]);
    await kept.of('a').get(patient());
    expect((await kept.of('a').get(refused)).value).toBe('a');
  });
});
