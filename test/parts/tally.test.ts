// CI's last line counts what the runs reported, and a run that says nothing counts as failed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keyhole-tally-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** A report in the form of vitest's JSON reporter: one file, whose tests ended so. */
function writeReport(name: string, statuses: readonly string[], fileStatus = 'passed'): string {
  const assertionResults = statuses.map((status) => ({ status, fullName: `a test that ${status}` }));
  const path = join(directory, name);
  writeFileSync(
    path,
    JSON.stringify({ testResults: [{ name: 'a.test.ts', status: fileStatus, assertionResults }] }),
  );
  return path;
}

function tally(brokenSteps: number, ...reports: string[]): { last: string | undefined; code: number | null } {
  const script = fileURLToPath(new URL('tally.mjs', import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [script, String(brokenSteps), ...reports], {
    encoding: 'utf8',
  });
  return { last: stdout.trimEnd().split('\n').at(-1), code: status };
}

test('the tests of all runs are added up', () => {
  const reports = [
    writeReport('one', ['passed', 'passed']),
    writeReport('two', ['passed', 'failed', 'skipped', 'todo']),
  ];
  expect(tally(0, ...reports)).toEqual({ last: '3 passed, 1 failed, 2 skipped', code: 1 });
});

test('only a run in which all tests passed is a success', () => {
  expect(tally(0, writeReport('one', ['passed']))).toEqual({
    last: '1 passed, 0 failed, 0 skipped',
    code: 0,
  });
  expect(tally(0, writeReport('one', ['passed', 'pending'])).code).toBe(1);
  expect(tally(0, writeReport('one', [])).code).toBe(1);
});

test('a step that broke, a file that did not load and a report that is missing count as failed', () => {
  expect(tally(1, writeReport('one', ['passed'])).last).toBe('1 passed, 1 failed, 0 skipped');
  expect(tally(0, writeReport('one', [], 'failed')).last).toBe('0 passed, 1 failed, 0 skipped');
  expect(tally(0, join(directory, 'nowhere')).last).toBe('0 passed, 1 failed, 0 skipped');
});
