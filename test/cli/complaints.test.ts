// What a source of roles complains of, as sentences.
import { expect, test } from 'vitest';
import { Complaints } from '../../src/cli/complaints.js';

test('a complaint is a sentence that names what it is about, then why', () => {
  const complaints = new Complaints();
  complaints.logger.info({ group: 'g0' }, 'is not told');
  complaints.logger.warn({ group: 'g1', list: 'members' }, 'the group lets nobody in');
  complaints.logger.warn({ reason: 'UNAVAILABLE' }, 'the API did not tell the users');
  complaints.logger.warn({ reason: 'UNKNOWN' }, 'the API did not tell the groups');
  expect(complaints.warnings().slice(0, 2)).toEqual([
    'warning: the group lets nobody in (group g1, list members)',
    'warning: the API did not tell the users: UNAVAILABLE',
  ]);
  expect(complaints.firstReason()).toEqual(['the API did not tell the users: UNAVAILABLE']);
  expect(new Complaints().firstReason()).toEqual([]);
});
