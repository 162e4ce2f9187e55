// strength.md §2: the file of the record is full or removed; nothing is opened without a record, and a gap is told.
import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AuditLog } from '../../src/access/audit/audit-log.js';
import { openAuditFile } from '../../src/access/audit/file-audit-log.js';
import { WRITER } from '../access/audit/events.js';
import { ORDERS, plainPayload } from '../server/running-server.js';
import { keepStream, plantSecret } from '../streams.js';
import { Served, type Question } from './served.js';

let directory: string;
let audit: AuditLog;
let served: Served;
let question: Question;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-outage-'));
});
afterEach(async () => {
  await served.stop();
  await audit.close();
  await rm(directory, { recursive: true, force: true });
});

async function serve(file: string): Promise<void> {
  audit = await openAuditFile(file, { writer: WRITER });
  served = await Served.start({ parts: { audit } });
  const text = plantSecret('what a record that cannot be kept must not reveal');
  question = {
    namespace: ORDERS,
    payload: await served.running.cipher.seal(plainPayload(text), ORDERS),
    text,
  };
  await served.expectPlaintext(question);
}

/** After the repair: a record of what was lost, and one of the request that was answered. */
async function expectGapAndRecord(file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  keepStream('faults-audit', text);
  expect(text).toContain('"type":"gap"');
  expect(text).toContain('"status_code":"ok"');
}

test('removed under us: 503, and back once it is there again', async () => {
  const file = join(directory, 'audit.ndjson');
  await serve(file);
  await unlink(file);
  await served.expectUnavailable('audit_unavailable', question, false);
  await appendFile(file, '', { mode: 0o600 });
  await served.expectRecovery(question);
  await expectGapAndRecord(file);
});

test('on a full disk: 503, and back once there is space', async (context) => {
  if (process.getuid?.() !== 0) context.skip('needs root, to mount a small tmpfs');
  const mounted = join(directory, 'small');
  await mkdir(mounted);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mounted]);
  try {
    const file = join(mounted, 'audit.ndjson');
    await serve(file);
    const filler = join(mounted, 'filler');
    await writeFile(filler, Buffer.alloc(1 << 20)).catch(() => undefined); // as much as there is room for
    let answered = 0;
    while ((await served.ask(question)).status === 200) answered += 1; // into the page that is begun
    expect(answered).toBeLessThan(10);
    await served.expectUnavailable('audit_unavailable', question, false);
    await unlink(filler);
    await served.expectRecovery(question);
    await expectGapAndRecord(file);
    await audit.close();
  } finally {
    execFileSync('umount', ['-l', mounted]);
  }
});
