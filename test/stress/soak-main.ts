// `npm run soak -- [--minutes N] [--seed S]`: one line of counts each 10 s; exit 1 where something went wrong.
import { parseArgs } from 'node:util';
import { seedOfThisRun } from '../access/random.js';
import { soak, type Progress } from './soak.js';

const TOLD_EVERY_MS = 10_000;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '20' }, seed: { type: 'string' } },
});
const seed = Number(values.seed ?? seedOfThisRun());
const lastsMs = Number(values.minutes) * 60_000;
if (!Number.isFinite(seed + lastsMs)) {
  process.stderr.write('--minutes and --seed are numbers\n');
  process.exit(2);
}

let startedMs: number | undefined;
let toldMs = 0;
process.stdout.write(`seed ${seed}\n`);
const { violations, ...counts } = await soak({ seed, longestMs: 4_000, goesOn });
tell({ ...counts, violations: violations.length });
for (const violation of violations.slice(0, 100)) process.stdout.write(`violation: ${violation}\n`);
if (violations.length > 0) process.exitCode = 1;

function goesOn(progress: Progress): boolean {
  const nowMs = performance.now();
  startedMs ??= nowMs;
  if (nowMs - toldMs >= TOLD_EVERY_MS) {
    toldMs = nowMs;
    tell(progress);
  }
  return nowMs - startedMs < lastsMs;
}

function tell(progress: Progress): void {
  const told = Object.entries(progress).map(([name, count]) => `${name} ${count}`);
  process.stdout.write(`${new Date().toISOString()} ${told.join(', ')}\n`);
}
