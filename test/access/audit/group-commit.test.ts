// Which records wait for a write that takes long, and which are refused at once.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GroupCommit, Refusals } from '../../../src/access/audit/group-commit.js';
import { configurationRecord } from '../../../src/access/audit/record.js';
import { systemClock } from '../../../src/clock.js';
import { gate } from '../../gate.js';

const DEADLINE_MS = 1_000;
const RECORD = configurationRecord(undefined, 0);

let writes: ReturnType<typeof gate>[];
let commits: GroupCommit;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] });
  writes = [];
  commits = new GroupCommit({
    commit: () => {
      const write = gate();
      writes.push(write);
      return write.opened;
    },
    refusals: new Refusals(),
    deadlineMs: DEADLINE_MS,
    clock: systemClock,
  });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Handed in now; how it ends. */
function outcome(): Promise<'durable' | 'refused'> {
  return commits.append(RECORD).then(
    () => 'durable',
    () => 'refused',
  );
}

describe('a write that is young when a record that waited for the one before is too late', () => {
  test('lets others wait for their own turn', async () => {
    const first = outcome();
    await vi.advanceTimersByTimeAsync(100);
    const second = outcome();
    await vi.advanceTimersByTimeAsync(800);
    writes[0]?.open();
    expect(await first).toBe('durable');
    await vi.advanceTimersByTimeAsync(300);
    expect(await second).toBe('refused');
    expect(commits.stuck).toBe(false);
    const third = outcome();
    writes[1]?.open();
    await vi.advanceTimersByTimeAsync(0);
    writes[2]?.open();
    expect(await third).toBe('durable');
  });
});

describe('a write that takes longer than the deadline', () => {
  test('has others refused at once until it ends', async () => {
    const first = outcome();
    await vi.advanceTimersByTimeAsync(DEADLINE_MS + 1);
    expect(await first).toBe('refused');
    expect(commits.stuck).toBe(true);
    expect(await outcome()).toBe('refused');
    writes[0]?.open();
    await vi.advanceTimersByTimeAsync(0);
    const next = outcome();
    writes[1]?.open();
    expect(await next).toBe('durable');
  });
});

test('what became durable while the event loop stood still is not refused', async () => {
  const record = outcome();
  vi.advanceTimersByTime(DEADLINE_MS); // a loop that stood still hears of timers first
  writes[0]?.open();
  expect(await record).toBe('durable');
});
