// Counts the tests of vitest's JSON reports; arguments: how many other steps failed, then the reports. Exit 1 unless all passed.
import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';

const [brokenSteps = '0', ...reports] = process.argv.slice(2);
const count = { passed: 0, failed: Number(brokenSteps), skipped: 0 };

for (const report of reports) {
  const files = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : [];
  if (files.length === 0) count.failed += 1; // a run without a report did not run
  for (const { name, status, assertionResults } of files) {
    const outcomes = assertionResults.map((test) => test.status);
    count.passed += outcomes.filter((outcome) => outcome === 'passed').length;
    count.failed += outcomes.filter((outcome) => outcome === 'failed').length;
    count.skipped += outcomes.filter((outcome) => outcome !== 'passed' && outcome !== 'failed').length;
    if (status === 'failed' && !outcomes.includes('failed')) count.failed += 1; // the file itself did not load
    for (const test of assertionResults)
      if (test.status !== 'passed') process.stdout.write(`${test.status}: ${name}: ${test.fullName}\n`);
  }
}

process.stdout.write(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
process.exitCode = count.failed === 0 && count.skipped === 0 && count.passed > 0 ? 0 : 1;
