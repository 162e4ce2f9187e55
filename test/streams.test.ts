// The search for planted secrets finds them in every form it names.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findLeaks } from './streams.setup.js';

const secret = Buffer.from('a secret that was planted in the streams');
const forms: [string, string][] = [
  ['plain', secret.toString()],
  ['hex', secret.toString('hex')],
  ['base64', secret.toString('base64')],
  ['base64 behind one byte', Buffer.concat([Buffer.from('x'), secret]).toString('base64')],
  ['base64 behind two bytes', Buffer.concat([Buffer.from('xy'), secret]).toString('base64')],
];

describe('the search of a run’s streams', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'keyhole-streams-test-'));
    writeFileSync(join(directory, 'secrets'), `${secret.toString('base64')}\n`);
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  test.each(forms)('finds a planted secret in %s', (_, text) => {
    writeFileSync(join(directory, 'log.stream'), `{"msg":"${text}"}\n`);
    expect(findLeaks(directory)).toHaveLength(1);
  });

  test('finds nothing in a stream without one', () => {
    writeFileSync(join(directory, 'log.stream'), '{"msg":"listening"}\n');
    expect(findLeaks(directory)).toEqual([]);
  });
});
