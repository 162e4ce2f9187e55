// The record on a stream for a collector.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { StreamAuditLog } from '../../../src/access/audit/stream-audit-log.js';
import { auditEvent, said, WRITER, type Line } from './events.js';
import { appendTogether } from './together.js';

/** Takes each chunk once it is let. */
class HeldStream extends Writable {
  readonly chunks: string[] = [];
  readonly held: ((error?: Error) => void)[] = [];

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.held.push((error) => {
      if (error === undefined) this.chunks.push(chunk.toString());
      callback(error);
    });
  }

  let(error?: Error): void {
    this.held.shift()?.(error);
  }

  get ids(): string[] {
    return this.chunks
      .join('')
      .trim()
      .split('\n')
      .map((line) => said(JSON.parse(line) as Line));
  }
}

test('a record is accepted once the stream has taken it, and those that wait go together', async () => {
  const stream = new HeldStream();
  const log = new StreamAuditLog(stream, { writer: WRITER });
  let accepted = 0;
  const appended = ['a', 'b', 'c'].map((id) => log.append(auditEvent(id)).then(() => (accepted += 1)));
  expect(accepted).toBe(0);
  stream.let();
  await appended[0];
  expect({ accepted, ids: stream.ids }).toEqual({ accepted: 1, ids: ['start', 'a'] });
  stream.let();
  await log.close();
  await Promise.all(appended);
  expect(stream.ids).toEqual(['start', 'a', 'b', 'c']);
});

test('a record shares its chunk with one that is said to come soon', async () => {
  const chunks: string[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, callback) => {
      chunks.push(chunk.toString());
      callback();
    },
  });
  const log = new StreamAuditLog(stream, { writer: WRITER });
  await appendTogether(log);
  expect(chunks).toHaveLength(1);
  await log.close();
});

test('a reader that stands still refuses records in time, and is told of them when it goes on', async () => {
  const stream = new HeldStream();
  const log = new StreamAuditLog(stream, { writer: WRITER, deadlineMs: 300 });
  await expect(log.append(auditEvent('a'))).rejects.toMatchObject({ code: 'audit_unavailable' });
  await expect(log.append(auditEvent('b'))).rejects.toMatchObject({ code: 'audit_unavailable' });
  stream.let();
  await expect.poll(() => stream.chunks.length).toBe(1);
  const appended = log.append(auditEvent('c'));
  stream.let();
  await appended;
  expect(stream.ids).toEqual(['start', 'a', 'gap of 2', 'c']);
});

test('a reader that goes on before the close is told of what was refused', async () => {
  const stream = new HeldStream();
  const log = new StreamAuditLog(stream, { writer: WRITER, deadlineMs: 500 });
  await expect(log.append(auditEvent('a'))).rejects.toMatchObject({ code: 'audit_unavailable' });
  stream.let();
  await expect.poll(() => stream.chunks.length).toBe(1);
  const closed = log.close();
  await expect.poll(() => stream.held.length).toBe(1);
  stream.let();
  await closed;
  expect(stream.ids).toEqual(['start', 'a', 'gap of 1']);
});

test('a reader that went away refuses records without ending the process', async () => {
  const reader = spawn(process.execPath, ['-e', ''], { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(reader, 'exit');
  const log = new StreamAuditLog(reader.stdin, { writer: WRITER });
  await expect(log.append(auditEvent('a'))).rejects.toMatchObject({ code: 'audit_unavailable' });
  await expect(log.append(auditEvent('b'))).rejects.toMatchObject({ code: 'audit_unavailable' });
});

test('a configuration whose line comes after it was refused is followed by the one that is in force', async () => {
  const stream = new HeldStream();
  const log = new StreamAuditLog(stream, { writer: WRITER, deadlineMs: 300 });
  await expect(log.configured('new')).rejects.toMatchObject({ code: 'audit_unavailable' });
  stream.let();
  await expect.poll(() => stream.chunks.length).toBe(1);
  const appended = log.append(auditEvent('a'));
  await expect.poll(() => stream.held).toHaveLength(1);
  stream.let();
  await appended;
  const told = stream.chunks
    .join('')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { unmapped: { configuration?: string } }).unmapped.configuration);
  expect(told).toEqual([WRITER.configuration, 'new', WRITER.configuration, undefined]);
  await log.close();
});
