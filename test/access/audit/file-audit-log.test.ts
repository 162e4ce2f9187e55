// The record in a file: durable before the answer, and refused where it cannot be.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditEvent, AuditLog } from '../../../src/access/audit/audit-log.js';
import { MAX_OTHER_NAMESPACES } from '../../../src/server/limits.js';
import { openAuditFile, type AuditFileOptions } from '../../../src/access/audit/file-audit-log.js';
import { filesOfRecord } from '../../../src/access/audit/tail.js';
import { verifyAudit } from '../../../src/access/audit/verify.js';
import { FakeClock } from '../../fake-clock.js';
import { plantSecret } from '../../streams.js';
import { auditEvent, filesOf, linesOf, told, toldInAll, WRITER } from './events.js';
import { gate } from '../../gate.js';
import { errorOf, Faults } from './faulty-files.js';
import { appendTogether } from './together.js';

let directory: string;
let path: string;
const opened: AuditLog[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-audit-'));
  path = join(directory, 'audit.ndjson');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
  await rm(directory, { recursive: true, force: true });
});

async function openLog(options: Partial<AuditFileOptions> = {}): Promise<AuditLog> {
  const log = await openAuditFile(path, { writer: WRITER, ...options });
  opened.push(log);
  return log;
}

const unavailable = { code: 'audit_unavailable', retryAfterMs: 1_000 };

describe('a record', () => {
  test('shares its write with one that is said to come soon', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open });
    const before = faults.done.length;
    await appendTogether(log);
    expect(faults.done.slice(before)).toEqual(['write', 'sync']);
    expect(await linesOf(path)).toHaveLength(3);
  });

  test('is one line of JSON, built field by field', async () => {
    const clock = new FakeClock();
    const log = await openLog({ clock });
    const secret = plantSecret('eyJhbGciOiJFUzI1NiJ9.token');
    const event = auditEvent('r1');
    const who = { ...event.who, token: secret };
    await log.append({ ...event, who, body: secret, why: { ...event.why, secret } } as unknown as AuditEvent);
    const text = await readFile(path, 'utf8');
    expect(text.endsWith('\n')).toBe(true);
    expect(text).not.toContain(secret);
    const [start, request] = await linesOf(path);
    expect(start?.unmapped.type).toBe('start');
    expect(request).toEqual({
      time: Date.parse('2026-11-24T12:00:00Z'),
      activity_id: 10,
      activity_name: 'Decrypt',
      category_uid: 6,
      class_uid: 6005,
      type_uid: 600510,
      severity_id: 1,
      status_id: 1,
      status_code: 'ok',
      metadata: {
        version: '1.8.0',
        product: { name: 'Keyhole', vendor_name: 'temporal-keyhole' },
        log_name: 'keyhole-audit',
        sequence: 1,
      },
      actor: {
        user: { uid: 'auth0|alice', email_addr: 'alice@example.com' },
        idp: { name: 'https://idp.example/' },
        authorizations: [
          {
            decision: 'allowed',
            policy: { uid: 'rules[0]', name: 'namespace:admin', type: 'temporal-cloud' },
          },
        ],
      },
      src_endpoint: { ip: '127.0.0.1' },
      database: { name: 'orders.a1b2c', type: 'Temporal namespace', type_id: 99 },
      http_request: { uid: 'r1' },
      http_response: { code: 200 },
      unmapped: {
        type: 'request',
        method: 'bearer',
        decisionAgeMs: 1_235,
        bound: ['orders.a1b2c'],
        keys: ['alias/orders_a1b2c'],
        payloads: { opened: 2, sealed: 0, passed: 1, failed: 0, refused: 0 },
        digests: ['a'.repeat(64), 'b'.repeat(64)],
        chain: {
          id: expect.stringMatching(/^[0-9a-f]{24}$/) as unknown,
          previous: createHash('sha256')
            .update(text.split('\n')[0] ?? '')
            .digest('hex'),
        },
      },
    });
  });

  test('of a refusal has no reason and perhaps no e-mail', async () => {
    const log = await openLog();
    const { who } = auditEvent('r1');
    await log.append(auditEvent('r1', { why: undefined, who: { ...who, email: undefined } }));
    const [, refusal] = await linesOf(path);
    expect(refusal).toMatchObject({
      actor: { user: { uid: 'auth0|alice' }, authorizations: [{ decision: 'denied' }] },
    });
    expect(JSON.stringify(refusal)).not.toMatch(/email_addr|policy|decisionAge/);
  });

  test('cannot be made to look like two', async () => {
    const log = await openLog();
    const { who } = auditEvent('r1');
    await log.append(auditEvent('r1', { who: { ...who, subject: 'a"}\n{"type":"request"}\r\n\u2028\0' } }));
    expect((await readFile(path, 'utf8')).match(/\n/g)).toHaveLength(2);
  });

  test('names the longest subject there may be in full', async () => {
    const log = await openLog();
    const { who } = auditEvent('r1');
    const subject = '\u20ac'.repeat(255);
    await log.append(auditEvent('r1', { who: { ...who, subject } }));
    expect((await linesOf(path))[1]).toMatchObject({ actor: { user: { uid: subject } } });
  });

  test.each([
    ['\\u0001', '\u{1}'.repeat(1_000), `claim:${'\u20ac'.repeat(256)}`],
    ['of three bytes', '\u20ac'.repeat(255), `claim:${'\u20ac'.repeat(252)}`],
    ['of four bytes', '\u{1f600}'.repeat(191), `claim:${'\u{1f600}'.repeat(256)}`],
    ['quotes', '"'.repeat(383), `claim:${'"'.repeat(256)}`],
  ])('takes at most 16 KiB, whatever callers sent: %s', async (_, worst, role) => {
    const log = await openLog();
    const reason = { rule: 99_999, role, source: role, ageMs: 999_999_999_999 };
    const others = Array.from({ length: MAX_OTHER_NAMESPACES }, (_, index) => `${index}`.padEnd(255, '.y'));
    const many = Array.from({ length: 10_000 }, (_, index) => String(index).padEnd(255, '.x'));
    const who = { subject: worst, email: worst, issuer: worst, method: 'bearer', address: worst };
    await log.append(
      auditEvent(worst, {
        who,
        outcome: 'the_longest_code_of_an_error_there_is',
        namespace: { claimed: worst, bound: [...others, ...many] },
        why: reason,
        alsoOpened: others.map((namespace) => ({ namespace, payloads: 100_000, ...reason })),
        keys: many,
        payloads: { opened: 100_000, sealed: 100_000, passed: 100_000, failed: 100_000, refused: 100_000 },
        digests: Array.from({ length: 10_000 }, () => 'c'.repeat(64)),
      }),
    );
    const [, line = ''] = (await readFile(path, 'utf8')).split('\n');
    expect(Buffer.byteLength(line)).toBeLessThan(16_384);
    expect((await linesOf(path))[1]).toMatchObject({
      unmapped: { bound: [], boundMore: 10_012, alsoOpened: others.map((namespace) => ({ namespace })) },
    });
  });

  test('names of long lists what fits, and counts the rest', async () => {
    const log = await openLog();
    const many = Array.from({ length: 10_000 }, (_, index) => String(index).padEnd(255, '.x'));
    await log.append(auditEvent('r1', { namespace: { claimed: 'orders.a1b2c', bound: many }, keys: many }));
    const nine = many.slice(0, 9);
    expect((await linesOf(path))[1]).toMatchObject({
      unmapped: { bound: nine, boundMore: 9_991, keys: nine, keysMore: 9_991 },
    });
  });

  test('names the namespaces of which something was opened beside the requested one, each with its reason', async () => {
    const log = await openLog();
    const reason = { rule: 1, role: 'custom:reader', source: 'static', ageMs: 1_234.5 };
    await log.append(
      auditEvent('r1', { alsoOpened: [{ namespace: 'billing.a1b2c', payloads: 2, ...reason }] }),
    );
    expect((await linesOf(path))[1]).toMatchObject({
      unmapped: {
        alsoOpened: [
          {
            namespace: 'billing.a1b2c',
            payloads: 2,
            rule: 'rules[1]',
            role: 'custom:reader',
            source: 'static',
            decisionAgeMs: 1_235,
          },
        ],
      },
    });
  });

  test('leaves usual roles whole beside a dozen other namespaces of 120 characters, and lists of names that fit', async () => {
    const log = await openLog();
    const source = 'temporal-cloud, state of people unknown';
    const reason = { rule: 1, role: 'claim:orders-payload-readers', source, ageMs: 0 };
    const others = Array.from({ length: MAX_OTHER_NAMESPACES }, (_, index) => `${index}`.padEnd(120, '.y'));
    await log.append(
      auditEvent('r1', {
        namespace: { claimed: 'orders.a1b2c', bound: others },
        alsoOpened: others.map((namespace) => ({ namespace, payloads: 1, ...reason })),
      }),
    );
    const { role } = reason;
    expect((await linesOf(path))[1]).toMatchObject({
      unmapped: { bound: others, alsoOpened: others.map((namespace) => ({ namespace, role, source })) },
    });
  });
});

describe('the file', () => {
  test('is made for its owner alone', async () => {
    await openLog();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('of before is kept under the name of its chain, which the new one names', async () => {
    await (await openLog()).append(auditEvent('before'));
    const last = (await readFile(path, 'utf8')).trim().split('\n').at(-1) ?? '';
    const { id } = (JSON.parse(last) as { unmapped: { chain: { id: string } } }).unmapped.chain;
    await (await openLog()).append(auditEvent('after'));
    expect(await told(join(directory, `audit-${id}.ndjson`))).toEqual(['before']);
    expect(await told(path)).toEqual(['after']);
    expect((await linesOf(path))[0]).toMatchObject({
      metadata: { product: { version: '1.2.3' } },
      unmapped: {
        cause: 'start',
        after: { chain: id, sequence: 1, hash: createHash('sha256').update(last).digest('hex') },
        configuration: 'c'.repeat(64),
      },
    });
  });

  test('that ends in the middle of a line is kept as it is, and its last whole line named', async () => {
    await (await openLog()).append(auditEvent('whole'));
    appendFileSync(path, '{"time":1');
    const before = await readFile(path, 'utf8');
    await (await openLog()).append(auditEvent('after'));
    const [kept = ''] = (await filesOf(path)).filter((file) => file !== path);
    expect(await readFile(kept, 'utf8')).toBe(before);
    expect((await linesOf(path))[0]).toMatchObject({ unmapped: { after: { sequence: 1 } } });
    expect(await verifyAudit(await filesOf(path))).toMatchObject({ mistakes: [], lines: 4, chains: 2 });
  });

  test('of something else is kept too', async () => {
    await writeFile(path, 'not a record\n', { mode: 0o640 });
    await openLog();
    const [kept = ''] = (await filesOf(path)).filter((file) => file !== path);
    expect(kept).toMatch(/audit-unknown-[0-9a-f]{12}\.ndjson$/);
    expect(await readFile(kept, 'utf8')).toBe('not a record\n');
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  test('and all that was kept of it are its record, also behind a link; what others keep beside it is not', async () => {
    const elsewhere = join(directory, 'disk');
    mkdirSync(elsewhere);
    const real = join(elsewhere, 'audit.ndjson');
    writeFileSync(real, '');
    symlinkSync(real, path);
    await openLog();
    writeFileSync(real, 'something else\n');
    await openLog();
    await (await openAuditFile(join(elsewhere, 'audit-2.ndjson'), { writer: WRITER })).close();
    await (await openAuditFile(join(elsewhere, 'audit-2.ndjson'), { writer: WRITER })).close();
    const record = await filesOfRecord(path);
    expect(record.map((file) => file.replace(/-[0-9a-f]{24}|-unknown-[0-9a-f]{12}/, '-CHAIN'))).toEqual([
      join(elsewhere, 'audit-CHAIN.ndjson'),
      real,
    ]);
    expect(statSync(path).ino).toBe(statSync(real).ino);
  });

  test('is kept even where a copy of it lies under the name of its chain', async () => {
    await (await openLog()).append(auditEvent('before'));
    await openLog();
    const [kept = ''] = (await filesOf(path)).filter((file) => file !== path);
    await copyFile(kept, path);
    await (await openLog()).append(auditEvent('after'));
    expect((await toldInAll(path)).sort()).toEqual(['after', 'before', 'before']);
  });

  test.each<[what: string, at: () => string]>([
    ['in a directory that is not there', () => join(directory, 'missing', 'audit.ndjson')],
    ['that is a directory', () => directory],
    ['that is a device', () => '/dev/full'],
    [
      'that is a pipe nobody reads',
      () => {
        execFileSync('mkfifo', [path]);
        return path;
      },
    ],
  ])('%s is refused at the start', async (_what, at) => {
    await expect(openAuditFile(at(), { writer: WRITER })).rejects.toThrow(/ENOENT|EISDIR|EINVAL/);
  });
});

describe('a record that was accepted', () => {
  test('was written and synced before', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open });
    faults.done.length = 0;
    await log.append(auditEvent('a'));
    expect(faults.done).toEqual(['write', 'sync']);
  });

  test('shares its sync with those that waited for the one before', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open });
    const first = gate();
    faults.datasync = () => first.opened;
    faults.done.length = 0;
    const appended = Array.from({ length: 100 }, (_, index) => log.append(auditEvent(String(index))));
    first.open();
    await Promise.all(appended);
    expect(faults.done).toEqual(['write', 'sync', 'write', 'sync']);
    expect(await told(path)).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
  });

  test('is whole where the system takes only a few bytes at a time', async () => {
    const faults = new Faults();
    faults.portion = 100;
    const log = await openLog({ open: faults.open });
    await log.append(auditEvent('a'));
    await log.append(auditEvent('b'));
    expect(await told(path)).toEqual(['a', 'b']);
  });

  test('is there after kill -9, again and again, and what is left can be proven', async () => {
    const script = fileURLToPath(new URL('kill-while-appending.ts', import.meta.url));
    const promised: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const child = spawn(process.execPath, ['--import', 'tsx', script, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let lines = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        promised.push(line);
        lines += 1;
        if (lines === 50 * (round + 1)) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      expect(child.signalCode).toBe('SIGKILL');
    }
    const kept = new Set(await toldInAll(path));
    expect(promised.filter((id) => !kept.has(id))).toEqual([]);
    expect(await verifyAudit(await filesOf(path))).toMatchObject({ mistakes: [], chains: 3 });
  });

  test('is written before the end', async () => {
    const log = await openLog();
    const appended = ['a', 'b', 'c'].map((id) => log.append(auditEvent(id)));
    await log.close();
    await Promise.all(appended);
    expect(await told(path)).toEqual(['a', 'b', 'c']);
    await expect(log.append(auditEvent('d'))).rejects.toMatchObject({ code: 'audit_unavailable' });
  });
});

describe.each(['write', 'datasync'] as const)('a %s', (operation) => {
  test.each(['ENOSPC', 'EROFS', 'EIO', 'EDQUOT'])(
    'that fails with %s refuses the record until the repair',
    async (code) => {
      const faults = new Faults();
      const clock = new FakeClock();
      const log = await openLog({ open: faults.open, clock });
      await log.append(auditEvent('before'));
      faults[operation] = errorOf(code);
      await expect(log.append(auditEvent('a'))).rejects.toMatchObject({ ...unavailable, cause: { code } });
      clock.pass(5_000);
      await expect(log.append(auditEvent('b'))).rejects.toMatchObject(unavailable);
      faults[operation] = undefined;
      clock.pass(5_000);
      await log.append(auditEvent('after'));
      const sinceMs = Date.parse('2026-11-24T12:00:00Z');
      expect(await linesOf(path)).toMatchObject([
        { unmapped: { type: 'start', cause: 'failure', after: { sequence: 1 } } },
        { unmapped: { type: 'gap' }, count: 2, start_time: sinceMs, end_time: sinceMs + 10_000 },
        { unmapped: { type: 'request' }, http_request: { uid: 'after' } },
      ]);
      await log.append(auditEvent('next'));
      expect(await told(path)).toEqual(['gap of 2', 'after', 'next']);
      expect(await verifyAudit(await filesOf(path))).toMatchObject({ mistakes: [], chains: 2 });
    },
  );

  test('that hangs refuses the record in time, those after it at once, and keeps none of them', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open, deadlineMs: 500 });
    const hanging = gate();
    faults[operation] = () => hanging.opened;
    const refused = await Promise.allSettled(
      Array.from({ length: 2_000 }, (_, index) => log.append(auditEvent(String(index)))),
    );
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set(['rejected']));
    const started = performance.now();
    await expect(log.append(auditEvent('later'))).rejects.toMatchObject(unavailable);
    expect(performance.now() - started).toBeLessThan(450);
    faults[operation] = undefined;
    hanging.open();
    await expect
      .poll(async () =>
        log.append(auditEvent('after')).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    expect((await told(path)).slice(-2)).toEqual([expect.stringMatching(/^gap of 20\d\d$/), 'after']);
  });

  test('whose refusals were the last is told of at the close', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open });
    await log.append(auditEvent('before'));
    faults[operation] = errorOf('EIO');
    await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
    faults[operation] = undefined;
    await log.close();
    expect(await told(path)).toEqual(['gap of 1']);
  });

  test.each([errorOf('EIO'), () => new Promise<never>(() => undefined)])(
    'that still fails or hangs at the close does not keep it',
    async (fault) => {
      const faults = new Faults();
      const log = await openLog({ open: faults.open, deadlineMs: 500 });
      faults[operation] = fault;
      await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
      await log.close();
    },
  );

  test('that hangs forever does not matter in a file opened anew', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open, deadlineMs: 500 });
    faults[operation] = () => new Promise(() => undefined);
    await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
    faults[operation] = undefined;
    renameSync(path, `${path}.1`);
    await log.reopen();
    await log.append(auditEvent('after'));
    expect(await told(path)).toEqual(['gap of 1', 'after']);
  });
});

test('a full disk refuses records, and is gone on with once there is space', async (context) => {
  if (process.getuid?.() !== 0) context.skip('needs root, to mount a small tmpfs');
  const mounted = join(directory, 'small');
  mkdirSync(mounted);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', mounted]);
  try {
    path = join(mounted, 'audit.ndjson');
    const filler = join(mounted, 'filler');
    writeFileSync(filler, Buffer.alloc(8_192));
    const log = await openLog();
    let written = 0;
    const fill = async (): Promise<void> => {
      for (; written < 100; written += 1) await log.append(auditEvent(`record-${written}`));
    };
    await expect(fill()).rejects.toMatchObject({ ...unavailable, cause: { code: 'ENOSPC' } });
    await expect(log.append(auditEvent('full'))).rejects.toMatchObject(unavailable);
    unlinkSync(filler);
    await log.append(auditEvent('after'));
    const before = Array.from({ length: written }, (_, index) => `record-${index}`);
    const [kept = ''] = (await filesOf(path)).filter((file) => file !== path);
    expect(await told(kept)).toEqual(before);
    expect(await told(path)).toEqual(['gap of 2', 'after']);
    await log.close();
  } finally {
    execFileSync('umount', [mounted]);
  }
});

describe('a configuration that was refused for want of a record', () => {
  let faults: Faults;
  let log: AuditLog;
  beforeEach(async () => {
    faults = new Faults();
    log = await openLog({ open: faults.open, deadlineMs: 300, writer: { ...WRITER, configuration: 'old' } });
  });

  /** Refused, and the write that its line was handed to ends thereafter. */
  async function comesTooLate(): Promise<void> {
    await ofSlowWrite(() => expect(log.configured('new')).rejects.toMatchObject(unavailable));
    expect(await configurationsIn(path)).toEqual(['old', 'new']);
  }

  /** Its write ends once `refused` has resolved. */
  async function ofSlowWrite(refused: () => Promise<void>): Promise<void> {
    const slow = gate();
    faults.write = () => slow.opened;
    await refused();
    faults.write = undefined;
    faults.done.length = 0;
    slow.open();
    await expect.poll(() => faults.done).toEqual(['write', 'sync']);
  }

  test('is not taken for the one in force where its line comes too late: before anything else that is told', async () => {
    await comesTooLate();
    await Promise.all(['a', 'b'].map((id) => log.append(auditEvent(id))));
    await log.append(auditEvent('c'));
    expect(await told(path)).toEqual(['configuration', 'configuration', 'a', 'b', 'c']);
    expect(await configurationsIn(path)).toEqual(['old', 'new', 'old']);
    expect(await verifyAudit([path])).toMatchObject({ mistakes: [] });
  });

  test('nor where nothing else comes until the close', async () => {
    await comesTooLate();
    await log.close();
    expect(await configurationsIn(path)).toEqual(['old', 'new', 'old']);
  });

  test('is on record again once it is used', async () => {
    await comesTooLate();
    await log.configured('new');
    await log.append(auditEvent('a'));
    await log.close();
    expect(await configurationsIn(path)).toEqual(['old', 'new', 'old', 'new']);
  });

  test('needs no correction where its line never came', async () => {
    await ofSlowWrite(async () => {
      const hangs = log.append(auditEvent('hangs'));
      await Promise.allSettled([hangs, expect(log.configured('new')).rejects.toMatchObject(unavailable)]);
    });
    await log.append(auditEvent('a'));
    await log.close();
    expect(await told(path)).toEqual(['hangs', 'gap of 1', 'a']);
  });

  test('needs none in the chain that begins where its write failed', async () => {
    faults.datasync = errorOf('EIO');
    await expect(log.configured('new')).rejects.toMatchObject(unavailable);
    faults.datasync = undefined;
    await log.append(auditEvent('a'));
    await log.close();
    expect(await configurationsIn(path)).toEqual(['old']);
  });
});

describe('a file removed under us', () => {
  test('refuses records until somebody brings it back', async () => {
    const log = await openLog();
    await log.append(auditEvent('lost'));
    unlinkSync(path);
    await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
    await expect(log.append(auditEvent('b'))).rejects.toMatchObject({
      ...unavailable,
      cause: { code: 'ENOENT' },
    });
    appendFileSync(path, '', { mode: 0o600 });
    await log.append(auditEvent('after'));
    expect(await told(path)).toEqual(['gap of 2', 'after']);
  });

  test('is made anew on request', async () => {
    const log = await openLog();
    unlinkSync(path);
    await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
    await log.reopen();
    await log.append(auditEvent('after'));
    expect(await told(path)).toEqual(['gap of 1', 'after']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('with its directory stays refused, and a request to open it anew fails', async () => {
    const log = await openLog();
    rmSync(directory, { recursive: true });
    await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
    await expect(log.reopen()).rejects.toMatchObject({ code: 'ENOENT' });
    mkdirSync(directory);
    await log.reopen();
    await log.append(auditEvent('after'));
    expect(await told(path)).toEqual(['gap of 1', 'after']);
  });
});

test.runIf(process.platform === 'linux')('a write to the file is answered once it is durable', async () => {
  await openLog();
  const [fd = ''] = readdirSync('/proc/self/fd').filter((name) => linkOf(`/proc/self/fd/${name}`) === path);
  const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
  expect(parseInt(flags, 8) & constants.O_DSYNC).toBe(constants.O_DSYNC);
});

/** The configuration of each line that names one, in order. */
async function configurationsIn(file: string): Promise<unknown[]> {
  const lines = await linesOf(file);
  return lines.flatMap(({ unmapped }) => ('configuration' in unmapped ? [unmapped.configuration] : []));
}

function linkOf(name: string): string | undefined {
  try {
    return readlinkSync(name);
  } catch {
    return undefined; // the one that reads the directory is gone by now
  }
}

describe('each file that was begun is closed', () => {
  test('where it is opened anew while the last gap is told', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open });
    faults.datasync = errorOf('EIO');
    await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
    const telling = gate();
    const told = gate();
    faults.datasync = () => {
      telling.open();
      return told.opened;
    };
    const closed = log.close();
    await telling.opened;
    const reopened = log.reopen();
    told.open();
    await Promise.all([closed, reopened]);
    expect(faults.left).toBe(0);
  });

  test('where it is opened anew twice at once', async () => {
    const faults = new Faults();
    const log = await openLog({ open: faults.open });
    renameSync(path, `${path}.1`);
    await Promise.all([log.reopen(), log.reopen()]);
    await log.close();
    expect(faults.left).toBe(0);
  });
});

describe('a file that another writer has too', () => {
  test('is begun by two at once: none writes into the chain of the other, and what was accepted is there', async () => {
    const accepted: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      const logs = await Promise.all([openLog(), openLog()]);
      for (const id of [`${round}, at first`, `${round}, then`]) {
        const answers = logs.map((log, index) =>
          log.append(auditEvent(`${id} ${index}`)).then(() => accepted.push(`${id} ${index}`)),
        );
        await Promise.allSettled(answers);
      }
      await Promise.all(logs.map((log) => log.close()));
    }
    expect(accepted.length).toBeGreaterThanOrEqual(120);
    expect(await toldInAll(path)).toEqual(expect.arrayContaining(accepted));
    const { mistakes } = await verifyAudit(await filesOf(path));
    expect(mistakes.filter(({ line }) => line !== undefined)).toEqual([]);
  });

  test.each<[string, (text: Buffer) => Buffer]>([
    ['emptied', () => Buffer.alloc(0)],
    ['cut', (text) => text.subarray(0, -1)],
    ['written to', (text) => Buffer.concat([text, Buffer.from('{"by":"somebody else"}\n')])],
  ])('and that was %s under us is not gone on with', async (_what, change) => {
    const log = await openLog();
    await log.append(auditEvent('before'));
    await writeFile(path, change(await readFile(path)));
    await expect(log.append(auditEvent('a'))).rejects.toMatchObject(unavailable);
    await log.append(auditEvent('after'));
    expect(await told(path)).toEqual(['gap of 1', 'after']);
    expect((await verifyAudit(await filesOf(path))).mistakes).not.toEqual([]);
  });
});

describe('a file renamed under us', () => {
  test('is gone on with until it is opened anew, and nothing is lost in between', async () => {
    const log = await openLog();
    const appended: Promise<void>[] = [log.append(auditEvent('0'))];
    await appended[0];
    renameSync(path, `${path}.1`);
    for (let index = 1; index < 50; index += 1) {
      appended.push(log.append(auditEvent(String(index))));
      if (index === 25) appended.push(log.reopen());
      if (index % 5 === 0) await appended.at(-1);
    }
    await Promise.all(appended);
    const [old, anew] = [await told(`${path}.1`), await told(path)];
    expect([...old, ...anew]).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
    expect(old.length).toBeGreaterThan(25);
    expect(anew.length).toBeGreaterThan(10);
  });

  test('stays in use if it cannot be opened anew', async () => {
    const log = await openLog();
    renameSync(path, `${path}.1`);
    mkdirSync(path);
    await expect(log.reopen()).rejects.toMatchObject({ code: 'EISDIR' });
    await log.append(auditEvent('a'));
    expect(await told(`${path}.1`)).toEqual(['a']);
  });
});
