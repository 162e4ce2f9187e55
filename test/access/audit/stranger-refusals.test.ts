// Refusals of those whom nobody knows: all are counted, few are told, and what was allowed keeps its room on the disk.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditLog, StrangerRefusal } from '../../../src/access/audit/audit-log.js';
import { openAuditFile, type AuditFileOptions } from '../../../src/access/audit/file-audit-log.js';
import type { AuditRecord } from '../../../src/access/audit/ocsf.js';
import { StrangerRefusals } from '../../../src/access/audit/stranger-refusals.js';
import { verifyAudit } from '../../../src/access/audit/verify.js';
import { networkOf } from '../../../src/access/network.js';
import { FakeClock } from '../../fake-clock.js';
import { auditEvent, linesOf, told, visit, WRITER } from './events.js';
import { ocsfMistakes } from './ocsf.js';

function refusal(requestId: string, changed: Partial<StrangerRefusal> = {}): StrangerRefusal {
  return {
    requestId,
    route: 'decode',
    status: 401,
    code: 'token_missing',
    message: 'send your access token as "Authorization: Bearer …"',
    address: '203.0.113.7',
    namespace: 'orders.a1b2c',
    ...changed,
  };
}

const NOW = Date.parse('2026-11-24T12:00:00Z');

describe('refusals of strangers', () => {
  let clock: FakeClock;
  let records: AuditRecord[];
  let failure: Error | undefined;
  let hasRoom: boolean;
  let strangers: StrangerRefusals;
  /** What a minute brings, without waiting for it. */
  const tell = async (): Promise<AuditRecord[]> => {
    await strangers.end();
    return records.splice(0);
  };
  beforeEach(() => {
    clock = new FakeClock();
    records = [];
    failure = undefined;
    hasRoom = true;
    strangers = new StrangerRefusals({
      clock,
      hasRoom: () => Promise.resolve(hasRoom),
      write: (record) => {
        if (failure !== undefined) return Promise.reject(failure);
        records.push(record);
        return Promise.resolve();
      },
    });
  });

  test('of one code and network are one record: how many, since when, and the first of them', async () => {
    strangers.add(refusal('first'));
    clock.pass(1_000);
    strangers.add(refusal('second', { address: '203.0.113.200', namespace: 'billing.a1b2c' }));
    const [record, ...more] = await tell();
    expect(more).toEqual([]);
    expect(ocsfMistakes({ ...record })).toEqual([]);
    expect(record).toMatchObject({
      activity_name: 'Refusals',
      status_id: 2,
      status_code: 'token_missing',
      status_detail: 'send your access token as "Authorization: Bearer …"',
      count: 2,
      start_time: NOW,
      end_time: NOW + 1_000,
      src_endpoint: { ip: '203.0.113.7', subnet_uid: '203.0.113.0/24' },
      database: { name: 'orders.a1b2c' },
      http_request: { uid: 'first' },
      http_response: { code: 401 },
      unmapped: { type: 'refusals', route: 'decode', network: '203.0.113.0/24' },
    });
  });

  test('of another code or network are another record', async () => {
    strangers.add(refusal('a'));
    strangers.add(refusal('b', { code: 'token_invalid' }));
    strangers.add(refusal('c', { address: '203.0.114.7' }));
    strangers.add(refusal('d', { address: '2001:db8::1' }));
    strangers.add(refusal('e', { address: '2001:db8::ffff:1' }));
    expect((await tell()).map(({ count }) => count)).toEqual([1, 1, 1, 2]);
    expect(await tell()).toEqual([]);
  });

  test('from all over the world take no more records than there is a bound for, and all are counted', async () => {
    for (let index = 0; index < 70_000; index += 1) {
      const address = `${10 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}.1`;
      strangers.add(refusal(String(index), { address }));
    }
    const all = await tell();
    expect(all).toHaveLength(65);
    expect(all.reduce((sum, { count }) => sum + Number(count), 0)).toBe(70_000);
    expect(all.filter(({ unmapped }) => unmapped['network'] === null)).toMatchObject([{ count: 69_936 }]);
    expect(ocsfMistakes({ ...all.at(-1) })).toEqual([]);
  });

  test.each<[string, () => void, () => void]>([
    ['cannot be written', () => (failure = new Error('full')), () => (failure = undefined)],
    ['find no room', () => (hasRoom = false), () => (hasRoom = true)],
  ])('that %s go on being counted, from when they began', async (_what, stop, resume) => {
    stop();
    strangers.add(refusal('first'));
    expect(await tell()).toEqual([]);
    clock.pass(60_000);
    strangers.add(refusal('second'));
    expect(await tell()).toEqual([]);
    resume();
    const [record] = await tell();
    expect(record).toMatchObject({ count: 2, start_time: NOW, end_time: NOW + 60_000 });
    expect(record).toMatchObject({ http_request: { uid: 'first' } });
  });

  test('that come while others cannot be written do not add up beyond the bound', async () => {
    let networks = 0;
    const refuseFromElsewhere = (): void => {
      networks += 1;
      strangers.add(refusal('r', { address: `10.${networks >> 8}.${networks & 255}.1` }));
    };
    strangers = new StrangerRefusals({
      clock,
      write: (record) => {
        if (failure === undefined) records.push(record);
        else refuseFromElsewhere();
        return failure === undefined ? Promise.resolve() : Promise.reject(failure);
      },
    });
    failure = new Error('full');
    for (let index = 0; index < 100; index += 1) refuseFromElsewhere();
    for (let minute = 0; minute < 10; minute += 1) await tell();
    failure = undefined;
    const all = await tell();
    expect(all.length).toBeLessThanOrEqual(65);
    expect(all.reduce((sum, { count }) => sum + Number(count), 0)).toBe(networks);
  });

  test('hold to no length of what they sent', async () => {
    strangers.add(refusal('a', { namespace: '\u0001'.repeat(40_000), message: undefined, address: '' }));
    const [record] = await tell();
    expect(Buffer.byteLength(JSON.stringify(record))).toBeLessThan(4_096);
    expect(ocsfMistakes({ ...record })).toEqual([]);
  });
});

test.each([
  ['203.0.113.7', '203.0.113.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:0db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', 'unknown'],
  ['unix', 'unknown'],
])('%s is of the network %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

describe('in a file', () => {
  let directory: string;
  let path: string;
  let log: AuditLog;
  let clock: FakeClock;
  let freeBytes: number;

  const start = async (options: Partial<AuditFileOptions> = {}): Promise<void> => {
    log = await openAuditFile(path, { writer: WRITER, clock, ...options });
  };
  const disk = (): Promise<{ bsize: number; blocks: number; bavail: number }> =>
    Promise.resolve({ bsize: 4_096, blocks: 2 ** 28, bavail: freeBytes / 4_096 });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyhole-strangers-'));
    path = join(directory, 'audit.ndjson');
    clock = new FakeClock();
    freeBytes = 2 ** 30;
  });
  afterEach(async () => {
    await log.close();
    await rm(directory, { recursive: true, force: true });
  });

  test('they are told by themselves once the time has come, in the chain', async () => {
    await start({ strangersMs: 20 });
    log.refused(refusal('a'));
    await expect.poll(() => told(path)).toEqual(['1 refused']);
    expect((await verifyAudit([path])).mistakes).toEqual([]);
  });

  test('they are told at the end', async () => {
    await start();
    log.refused(refusal('a'));
    log.refused(refusal('b'));
    await log.close();
    expect(await told(path)).toEqual(['2 refused']);
  });

  test('they and whoever else is refused leave the last 64 MiB to what is allowed', async () => {
    await start({ spaceOf: disk, strangersMs: 20 });
    freeBytes = 64 * 2 ** 20;
    log.refused(refusal('stranger'));
    await log.append(auditEvent('allowed'));
    const refused = auditEvent('refused', { why: undefined, status: 403, outcome: 'role_missing' });
    await expect(log.append(refused)).rejects.toMatchObject({ code: 'audit_unavailable' });
    await log.append(auditEvent('allowed too'));
    expect(await told(path)).toEqual(['allowed', 'gap of 1', 'allowed too']);
    freeBytes += 4_096;
    clock.pass(1_000);
    await log.append(refused);
    await expect.poll(() => told(path)).toContain('1 refused');
  });

  test.each(['sign-in', 'sign-out', 'look'] as const)(
    'nobody fills the last 64 MiB by a %s: whoever the provider knows may have no right here',
    async (activity) => {
      await start({ spaceOf: disk });
      freeBytes = 64 * 2 ** 20;
      const before = await linesOf(path);
      await expect(log.appendVisit(visit(activity))).rejects.toMatchObject({ code: 'audit_unavailable' });
      expect(await linesOf(path)).toEqual(before);
      freeBytes += 4_096;
      clock.pass(1_000);
      await log.appendVisit(visit(activity));
      expect((await linesOf(path)).length).toBeGreaterThan(before.length);
    },
  );

  test('a disk that hangs is asked once, holds nobody up, and keeps no server from ending', async () => {
    let asked = 0;
    const spaceOf = (): Promise<never> => {
      asked += 1;
      return new Promise(() => undefined);
    };
    await start({ spaceOf, deadlineMs: 500 });
    for (let second = 0; second < 10; second += 1) {
      await log.append(auditEvent(`refused ${second}`, { why: undefined }));
      clock.pass(1_000);
    }
    expect(asked).toBe(1);
    log.refused(refusal('stranger'));
    await log.close();
    expect((await told(path)).at(-1)).toBe('1 refused');
  });

  test('a disk that says nothing of its room is written to', async () => {
    await start({ spaceOf: () => Promise.reject(new Error('ENOSYS')) });
    await log.append(auditEvent('refused', { why: undefined }));
    expect((await linesOf(path)).length).toBe(2);
  });
});
