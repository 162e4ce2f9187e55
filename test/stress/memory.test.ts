// strength.md §3: what is left of requests after they are answered; more of them by `npm run stress`.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { volume } from '../access/random.js';
import type { Left } from './mixed-load.js';

const REQUESTS = volume(100_000);
/** One small object left of each, with what refers to it; fewer requests tell no less from chance. */
const MAX_LEFT_BYTES = process.env['KEYHOLE_FULL'] === '1' ? 20 : 300;

test(`of ${REQUESTS} mixed requests nothing is left: no memory of each, no handle`, async () => {
  const script = fileURLToPath(new URL('mixed-load.ts', import.meta.url));
  const args = ['--expose-gc', '--import', import.meta.resolve('tsx'), script, String(REQUESTS)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { heapBytes, resources, statuses } = JSON.parse(stdout) as Left;
  const later = heapBytes.slice(heapBytes.length / 3); // caches of a fixed size fill first, and code is compiled
  const leftBytes = slope(later) / (REQUESTS / 10);
  process.stdout.write(`memory: ${leftBytes.toFixed(1)} bytes left of each of ${REQUESTS} requests\n`);
  expect(leftBytes).toBeLessThan(MAX_LEFT_BYTES);
  expect(resources[1]).toBeLessThanOrEqual(resources[0]);
  const wanted = ['200', '204', '400', '401', '403', '404', '422']; // and 503, where others take the machine
  expect(wanted.filter((status) => statuses[status] === undefined)).toEqual([]);
});

/** Of the line with the least squares, for each step. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const rise = values.reduce((sum, value, index) => sum + (index - middle) * (value - mean), 0);
  return rise / values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
}
