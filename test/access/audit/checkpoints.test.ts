// When the chain's last line is told, and that it is what the file holds.
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAuditFile } from '../../../src/access/audit/file-audit-log.js';
import type { Link } from '../../../src/access/audit/record.js';
import { verifyAudit } from '../../../src/access/audit/verify.js';
import { auditEvent, filesOf, WRITER } from './events.js';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-checkpoints-'));
  path = join(directory, 'audit.ndjson');
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('a checkpoint is told at the end, and proves the whole record', async () => {
  const told: Link[] = [];
  const log = await openAuditFile(path, { writer: WRITER, onCheckpoint: (link) => told.push(link) });
  for (let index = 0; index < 10; index += 1) await log.append(auditEvent(String(index)));
  expect(told).toEqual([]);
  await log.close();
  expect(told).toMatchObject([{ sequence: 10 }]);
  expect(await verifyAudit([path], told)).toMatchObject({ mistakes: [], notes: [] });
});

test('checkpoints are told from time to time, each line once', async () => {
  const told: Link[] = [];
  const log = await openAuditFile(path, {
    writer: WRITER,
    checkpointMs: 5,
    onCheckpoint: (link) => told.push(link),
  });
  await expect.poll(() => told.at(-1)?.sequence).toBe(0);
  await log.append(auditEvent('a'));
  await expect.poll(() => told.at(-1)?.sequence).toBe(1);
  await log.close();
  expect(new Set(told.map(({ hash }) => hash)).size).toBe(told.length);
  expect(await verifyAudit([path], told)).toMatchObject({ mistakes: [], notes: [] });
});

test('checkpoints go on in the next chain after the file was rotated', async () => {
  const told: Link[] = [];
  const log = await openAuditFile(path, { writer: WRITER, onCheckpoint: (link) => told.push(link) });
  await log.append(auditEvent('a'));
  await rename(path, `${path}.1`);
  await log.reopen();
  await log.append(auditEvent('b'));
  await log.close();
  expect(told).toMatchObject([{ sequence: 1 }]);
  expect(await verifyAudit(await filesOf(path), told)).toMatchObject({ mistakes: [], notes: [], chains: 2 });
});
