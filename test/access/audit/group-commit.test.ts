// Which records wait for a write that takes long, and which are refused at once.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GroupCommit, Refusals } from '../../../src/access/audit/group-commit.js';
import { configurationRecord } from '../../../src/access/audit/record.js';
import { systemClock } from '../../../src/clock.js';
import { gate } from '../../gate.js';

const DEADLINE_MS = 1_000;
const RECORD = configurationRecord(undefined, 0);

let writes: ReturnType<typeof gate>[];
/** Of each write, how many records. */
let sizes: number[];
let commits: GroupCommit;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] });
  writes = [];
  sizes = [];
  commits = new GroupCommit({
    commit: (records) => {
      sizes.push(records.length);
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
function outcome(moreSoon?: () => boolean): Promise<'durable' | 'refused'> {
  return commits.append(RECORD, { moreSoon }).then(
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

describe('where more records will soon be there', () => {
  test('one write takes them all', async () => {
    const handedIn: Promise<string>[] = [];
    const moreSoon = (): boolean => handedIn.length < 3;
    for (let turns = 0; turns < 3; turns++) {
      handedIn.push(outcome(moreSoon));
      expect(sizes).toEqual([]);
      await vi.advanceTimersToNextTimerAsync();
    }
    expect(sizes).toEqual([3]);
    writes[0]?.open();
    expect(await Promise.all(handedIn)).toEqual(['durable', 'durable', 'durable']);
  });

  test('a write waits for 8 turns of the event loop and no longer', async () => {
    let turns = 1; // it is asked after the first
    const first = outcome(() => {
      turns += 1;
      return true;
    });
    while (sizes.length === 0) await vi.advanceTimersToNextTimerAsync();
    expect(turns).toBe(8);
    expect(sizes).toEqual([1]);
    writes[0]?.open();
    expect(await first).toBe('durable');
  });

  test('a write waits for 2 ms and no longer, however few turns that were', async () => {
    const first = outcome(() => true);
    for (let turn = 0; turn < 3; turn++) await vi.advanceTimersByTimeAsync(1);
    expect(sizes).toEqual([1]);
    writes[0]?.open();
    expect(await first).toBe('durable');
  });

  test('a write that hangs has others refused at once too, though it began later than its first record', async () => {
    const first = outcome(() => true);
    vi.advanceTimersByTime(100); // one long turn
    await vi.advanceTimersByTimeAsync(DEADLINE_MS - 99);
    expect(sizes).toEqual([1]);
    expect(await first).toBe('refused');
    expect(commits.stuck).toBe(true);
    expect(await outcome()).toBe('refused');
  });

  test('one that is refused meanwhile is not written, and keeps nobody else from it', async () => {
    const before = outcome();
    writes[0]?.open();
    await before;
    const refused = outcome(() => true);
    vi.advanceTimersByTime(DEADLINE_MS); // a loop that stood still hears of timers first
    vi.advanceTimersByTime(1);
    expect(commits.stuck).toBe(false);
    expect(await refused).toBe('refused');
    for (let turn = 0; turn < 10; turn++) await vi.advanceTimersByTimeAsync(1);
    expect(sizes).toEqual([1]);
    const next = outcome();
    writes[1]?.open();
    expect(await next).toBe('durable');
    expect(sizes).toEqual([1, 2]); // it, and that one was refused
  });
});
