// JSONTestSuite's bodies through a real server: a 4xx with a code, never a 5xx, and what is no JSON never a 200.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ORDERS, startServer, type RunningServer } from '../running-server.js';

const CORPUS = join(
  process.env['KEYHOLE_CORPORA'] ?? resolve(import.meta.dirname, '../../../../shared/corpora'),
  'json-test-suite/test_parsing',
);

describe.skipIf(!existsSync(CORPUS))(`bodies of ${CORPUS} (KEYHOLE_CORPORA says where it is)`, () => {
  let running: RunningServer;

  beforeAll(async () => {
    running = await startServer();
  });

  afterAll(async () => {
    await running.stop();
  });

  test('never end a request in a 5xx, and none that is not JSON is a 200', async () => {
    const files = readdirSync(CORPUS);
    expect(files.length).toBeGreaterThanOrEqual(318);
    for (const file of files) {
      const text = readFileSync(join(CORPUS, file));
      const wrapped = Buffer.concat([Buffer.from('{"ignored":'), text, Buffer.from('}')]);
      for (const body of [text, wrapped]) {
        const answer = await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
        expect([file, answer.status === 200 || answer.code()]).toEqual([
          file,
          answer.status === 200 ? true : 'body_invalid',
        ]);
        if (file.startsWith('n_')) expect([file, answer.status]).toEqual([file, 400]);
      }
    }
    expect(running.audit.events).toHaveLength(files.length * 2);
  });
});
