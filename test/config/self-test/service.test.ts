// A service whose self-test fails.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { startService } from '../../../src/config/start-service.js';
import { freePort } from '../../parts/spawn-part.js';
import { GOOD, makeFolder } from '../folder.js';

vi.mock(import('../../../src/config/self-test/self-test.js'), () => ({
  selfTest: () => Promise.reject(new Error('the self-test failed')),
}));

test('serves nobody, and begins no record', async () => {
  const folder = await makeFolder();
  const port = await freePort();
  const audit = { file: 'audit.ndjson' };
  await folder.configure({ ...GOOD, listen: `127.0.0.1:${port}`, metrics: { listen: '127.0.0.1:0' }, audit });
  const starting = startService({
    config: await folder.config(),
    load: () => folder.load(),
    logger: pino({ level: 'silent' }),
    stdout: new PassThrough(),
  });
  await expect(starting).rejects.toThrow('the self-test failed');
  await expect(fetch(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow();
  expect(existsSync(join(folder.path, audit.file))).toBe(false);
  await folder.remove();
});
