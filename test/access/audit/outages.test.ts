// The record over disks that hang and fail while its file is rotated: what was accepted stays, and its chains can be proven.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import promises, { mkdtemp, rm } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditLog } from '../../../src/access/audit/audit-log.js';
import { openAuditFile, type AuditFileOptions } from '../../../src/access/audit/file-audit-log.js';
import { openForAppending, type OpenAuditFile } from '../../../src/access/audit/file-handle.js';
import { verifyAudit } from '../../../src/access/audit/verify.js';
import { randomFrom, seedOfThisRun, volume } from '../random.js';
import { auditEvent, filesOf, linesOf, told, toldInAll, WRITER } from './events.js';
import { gate } from '../../gate.js';
import { errorOf, Faults } from './faulty-files.js';

const SEED = seedOfThisRun();
const DEADLINE_MS = 300;

let directory: string;
let path: string;
let faults: Faults;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-outages-'));
  path = join(directory, 'audit.ndjson');
  faults = new Faults();
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function openLog(options: Partial<AuditFileOptions> = {}): Promise<AuditLog> {
  return openAuditFile(path, { writer: WRITER, open: faults.open, deadlineMs: DEADLINE_MS, ...options });
}

async function refused(log: AuditLog, id: string): Promise<void> {
  await expect(log.append(auditEvent(id))).rejects.toMatchObject({ code: 'audit_unavailable' });
}

async function mistakes(): Promise<readonly unknown[]> {
  return (await verifyAudit(await filesOf(path))).mistakes;
}

describe('a chain whose begin hangs while the file is opened anew', () => {
  test('does not take the place of what was accepted after it', async () => {
    const log = await openLog();
    await log.append(auditEvent('first'));
    unlinkSync(path);
    await refused(log, 'into what was removed');
    writeFileSync(path, '', { mode: 0o600 });
    const hanging = gate();
    faults.begin = () => hanging.opened;
    await refused(log, 'while it hangs');
    faults.begin = undefined;
    const reopened = log.reopen();
    await refused(log, 'while both wait');
    hanging.open();
    await reopened;
    await log.append(auditEvent('accepted'));
    await log.close();
    expect(await toldInAll(path)).toContain('accepted');
    expect(faults.left).toBe(0);
    expect(await mistakes()).toEqual([]);
  });
});

test('what a disk refused in the middle is no forgery after the file was opened anew', async () => {
  const log = await openLog();
  await log.append(auditEvent('first'));
  faults.datasync = errorOf('EIO');
  await refused(log, 'in the file, but perhaps not durable');
  faults.datasync = undefined;
  await log.reopen();
  await log.append(auditEvent('after'));
  await log.close();
  expect(await mistakes()).toEqual([]);
});

test('of two that begin at one empty file none loses what was accepted', async () => {
  const accepted: string[] = [];
  const write = async (id: string): Promise<AuditLog> => {
    const log = await openLog({ deadlineMs: 1_000 });
    await log.append(auditEvent(id)).then(
      () => accepted.push(id),
      () => undefined, // as the other one had taken the file away
    );
    return log;
  };
  const afterTurns = async (turns: number): Promise<void> => {
    for (let at = 0; at < turns; at += 1) await turn();
  };
  for (let round = 0; round < 100; round += 1) {
    path = join(directory, `audit-of-round-${round}.ndjson`);
    writeFileSync(path, '');
    const later = afterTurns(round / 4).then(() => write(`b${round}`));
    const logs = await Promise.all([write(`a${round}`), later]);
    await Promise.all(logs.map((log) => log.close()));
  }
  expect(accepted.length).toBeGreaterThan(100);
  expect(await toldInAll(path)).toEqual(expect.arrayContaining(accepted));
});

describe('a disk that hangs when the file is opened anew', () => {
  test('keeps neither that nor the close waiting, and is gone on with once it answers', async () => {
    const log = await openLog();
    renameSync(path, `${path}.1`);
    const hanging = gate();
    faults.begin = () => hanging.opened;
    await expect(log.reopen()).rejects.toThrow('does not answer');
    await refused(log, 'meanwhile');
    await expect(log.reopen()).rejects.toThrow('does not answer');
    faults.begin = undefined;
    hanging.open();
    await log.reopen();
    await log.append(auditEvent('after'));
    expect(await toldInAll(path)).toContain('after');
    await log.close();
  });

  test('does not keep the close waiting', async () => {
    const log = await openLog();
    renameSync(path, `${path}.1`);
    const hanging = gate();
    faults.begin = () => hanging.opened;
    await expect(log.reopen()).rejects.toThrow('does not answer');
    await log.close();
    hanging.open();
    await expect.poll(() => faults.left).toBe(0);
  });
});

describe('a write that hangs while the file could not be opened anew', () => {
  let hanging: ReturnType<typeof gate>;
  let log: AuditLog;
  beforeEach(async () => {
    log = await openLog();
    await log.append(auditEvent('first'));
    hanging = gate();
    const { opened } = hanging;
    faults.write = () => opened;
    await refused(log, 'hangs');
    faults.write = errorOf('ENOSPC');
    await expect(log.reopen()).rejects.toMatchObject({ code: 'ENOSPC' });
    await refused(log, 'before the repair');
    faults.write = undefined;
  });

  test('does not matter once that works', async () => {
    await log.reopen();
    await log.append(auditEvent('after'));
    expect(await told(path)).toEqual(['gap of 2', 'after']);
    hanging.open();
    await expect.poll(() => faults.left).toBe(1);
    await log.append(auditEvent('next'));
    renameSync(path, join(directory, 'audit-rotated.ndjson'));
    await log.reopen();
    await log.close();
    expect(await toldInAll(path)).toEqual(expect.arrayContaining(['first', 'after', 'next']));
    expect(await mistakes()).toEqual([]);
    await expect.poll(() => faults.left).toBe(0);
  });

  test('is gone on after where it ends before that', async () => {
    hanging.open();
    await expect
      .poll(() =>
        log.append(auditEvent('after')).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await log.close();
    expect(await filesOf(path)).toEqual([path]);
    expect(await mistakes()).toEqual([]);
    await expect.poll(() => faults.left).toBe(0);
  });

  test('keeps no file open where the log is closed while it is opened anew once more', async () => {
    const beginning = gate();
    faults.write = () => beginning.opened.then(errorOf('ENOSPC'));
    const reopened = log.reopen().catch((error: unknown) => error);
    await expect.poll(() => faults.done.at(-1)).toBe('open');
    await log.close();
    beginning.open();
    expect(await reopened).toMatchObject({ code: 'ENOSPC' });
    hanging.open();
    await expect.poll(() => faults.left).toBe(0);
    expect(await mistakes()).toEqual([]);
  });
});

test('a record that becomes durable after the file was opened anew is named by no later chain', async () => {
  const hanging = gate();
  let answered = Promise.resolve();
  const open: OpenAuditFile = async (file) => {
    const real = await openForAppending(file);
    const stat = async (): Promise<Stats> => {
      const there = await real.stat();
      await answered;
      return there;
    };
    return { ...real, stat };
  };
  const log = await openLog({ open });
  await log.append(auditEvent('first'));
  answered = hanging.opened;
  await refused(log, 'hangs');
  answered = Promise.resolve();
  await log.reopen();
  hanging.open();
  await turn();
  renameSync(path, join(directory, 'audit-rotated.ndjson'));
  await log.reopen();
  await log.close();
  expect(await mistakes()).toEqual([]);
});

test('a file that is rotated while it has two names is one file, and nothing of it is lost', async () => {
  const log = await openLog();
  await log.append(auditEvent('before'));
  faults.write = errorOf('EIO');
  await refused(log, 'refused');
  faults.write = undefined;
  const { link } = promises;
  promises.link = async (from, to) => {
    await link(from, to);
    renameSync(path, join(directory, 'audit-rotated.ndjson'));
  };
  syncBuiltinESMExports();
  try {
    await log.append(auditEvent('after'));
  } finally {
    promises.link = link;
    syncBuiltinESMExports();
  }
  await log.close();
  const before = (await filesOf(path)).filter((file) => file !== path);
  expect(new Set(before.map((file) => statSync(file).ino)).size).toBe(1);
  expect(before).toHaveLength(2);
  expect((await toldInAll(path)).sort()).toEqual(['after', 'before', 'gap of 1']);
  expect(await mistakes()).toEqual([]);
});

test('a link to nothing is refused, not replaced', async () => {
  symlinkSync(join(directory, 'disk', 'audit.ndjson'), path);
  await expect(openLog()).rejects.toMatchObject({ code: 'ENOENT' });
  mkdirSync(join(directory, 'disk'));
  await expect(openLog()).rejects.toMatchObject({ code: 'ENOENT' });
});

describe('an open file', () => {
  test('takes nothing more from the moment it is closed: its number may be another one’s', async () => {
    const file = await openForAppending(path);
    const closed = file.close();
    await expect(file.write(Buffer.from('x'), 0)).rejects.toThrow('closed');
    await closed;
  });

  test('is asked about without holding the event loop where others may have to answer', async (context) => {
    if (process.getuid?.() !== 0 || process.platform !== 'linux')
      context.skip('needs root, to mount a file system');
    const mounted = join(directory, 'mounted');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'ramfs', 'ramfs', mounted]);
    try {
      const known = await openForAppending(path);
      const unknown = await openForAppending(join(mounted, 'audit.ndjson'));
      expect(known.stat()).not.toBeInstanceOf(Promise);
      expect(unknown.stat()).toBeInstanceOf(Promise);
      expect((await unknown.stat()).size).toBe(0);
      await Promise.all([known.close(), unknown.close()]);
    } finally {
      execFileSync('umount', [mounted]);
    }
  });
});

test.each(Array.from({ length: volume(400) }, (_, index) => SEED + index))(
  'whatever fails, hangs and is rotated: what was accepted is there once, the chains hold, the configuration in force was told last, no file stays open (seed %i)',
  async (seed) => {
    const below = randomFrom(seed);
    const log = await openLog({ deadlineMs: 150 }); // it waits often for what hangs
    const accepted: string[] = [];
    let inForce: string | undefined = WRITER.configuration;
    let configuring = Promise.resolve();
    const all: Promise<unknown>[] = [];
    const tried = (work: Promise<unknown>): void => {
      all.push(work.catch(() => undefined));
    };
    let hanging = gate();
    const thaw = (): void => {
      hanging.open();
      faults.begin = faults.write = faults.datasync = undefined;
    };
    const operations = ['begin', 'write', 'datasync'] as const;
    const steps: (() => void)[] = [
      () => {
        const id = `r${all.length}`;
        tried(log.append(auditEvent(id)).then(() => accepted.push(id)));
      },
      () => {
        if (existsSync(path)) renameSync(path, join(directory, `audit-rotated-${all.length}.ndjson`));
        tried(log.reopen());
      },
      () => {
        tried(log.reopen());
      },
      () => {
        thaw();
        hanging = gate();
        const { opened } = hanging;
        faults[operations[below(3)] ?? 'write'] = () => opened;
      },
      () => {
        thaw();
        faults[below(2) === 0 ? 'write' : 'datasync'] = errorOf('EIO');
      },
      () => {
        faults.write = errorOf('ENOSPC'); // and what hangs already goes on hanging
      },
      () => {
        const digest = `c${all.length}`;
        configuring = configuring
          .then(() => log.configured(digest))
          .then(
            () => (inForce = digest),
            () => undefined,
          )
          .then(() => undefined);
        tried(configuring);
      },
      thaw,
      () => {
        faults.portion = below(2) === 0 ? 1 + below(600) : Infinity;
      },
    ];
    for (let step = 0; step < 60; step += 1) {
      const which = below(12);
      steps[which < steps.length ? which : 0]?.();
      if (below(3) === 0) await Promise.race([Promise.all(all), turn()]);
      if (below(20) === 0) await Promise.all(all);
    }
    thaw();
    faults.portion = Infinity;
    await Promise.all(all);
    await log.reopen();
    await expect.poll(() => log.append(auditEvent('last')).then(() => true, String)).toBe(true);
    await log.close();
    const named = (await linesOf(path)).flatMap(({ unmapped }) =>
      'configuration' in unmapped ? [unmapped.configuration] : [],
    );
    expect(named.at(-1)).toBe(inForce);
    const told = await toldInAll(path);
    for (const id of accepted) expect(told.filter((one) => one === id)).toEqual([id]);
    expect(await mistakes()).toEqual([]);
    await expect.poll(() => faults.left).toBe(0);
  },
);
