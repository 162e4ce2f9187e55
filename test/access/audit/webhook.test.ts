// The record at a collector: the same lines in the same order, whatever the collector does, and never in a request's way.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseCheckpoint } from '../../../src/access/audit/checkpoints.js';
import { openAuditFile } from '../../../src/access/audit/file-audit-log.js';
import { verifyAudit } from '../../../src/access/audit/verify.js';
import { AuditWebhook, type AuditWebhookOptions } from '../../../src/access/audit/webhook.js';
import { fetchTrusting } from '../../../src/access/outgoing/trusting-fetch.js';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { plantSecret } from '../../streams.js';
import { Collector } from './collector.js';
import { auditEvent, WRITER } from './events.js';
import { KeptLog } from './kept-log.js';

const AUTHORIZATION = plantSecret('Splunk 51c9b7de02-collector-token');

let certificates: Certificates;
let collector: Collector;
let log: KeptLog;
let counts: { delivered: number; dropped: number };
let webhook: AuditWebhook;

beforeAll(async () => {
  certificates = await makeCertificates();
});
beforeEach(async () => {
  collector = new Collector();
  await collector.listen(certificates);
  log = new KeptLog();
  counts = { delivered: 0, dropped: 0 };
  webhook = hook();
});
afterEach(async () => {
  await webhook.close();
  await collector.stop();
});

function hook(options: Partial<AuditWebhookOptions> = {}): AuditWebhook {
  return new AuditWebhook({
    url: collector.url,
    fetch: fetchTrusting(certificates.ca),
    logger: log,
    onLines: (outcome, count) => {
      counts[outcome] += count;
    },
    retryMs: 10,
    closeMs: 200,
    ...options,
  });
}

function line(text: string): Buffer {
  return Buffer.from(`${text}\n`);
}

const LINK = { chain: 'a'.repeat(24), sequence: 7, hash: 'b'.repeat(64) };

describe('a collector', () => {
  test('gets each line once and in order, those that waited for an answer together', async () => {
    let open = (): void => undefined;
    collector.gate = new Promise((resolve) => (open = resolve));
    webhook.add(line('0'), 1);
    await expect.poll(() => collector.asked).toBe(1);
    for (let index = 1; index < 100; index += 1) webhook.add(line(String(index)), 1);
    open();
    await expect.poll(() => counts.delivered).toBe(100);
    expect(collector.text).toBe(Array.from({ length: 100 }, (_, index) => `${index}\n`).join(''));
    expect(collector.asked).toBe(2);
    expect(log.lines).toEqual([]);
  });

  test('gets no more than half a mebibyte at once', async () => {
    let open = (): void => undefined;
    collector.gate = new Promise((resolve) => (open = resolve));
    for (let index = 0; index < 100; index += 1) webhook.add(line(String(index).padEnd(16_000, ' ')), 1);
    open();
    await expect.poll(() => counts.delivered).toBe(100);
    expect(Math.max(...collector.received.map(({ body }) => body.length))).toBeLessThanOrEqual(512 * 1024);
    expect(collector.text.split('\n')).toHaveLength(101);
  });

  test('is sent the authorization as it is now, which stands in no log', async () => {
    await webhook.close();
    let authorization = 'Bearer first';
    webhook = hook({ authorization: () => Promise.resolve(authorization) });
    webhook.add(line('a'), 1);
    await expect.poll(() => collector.received.length).toBe(1);
    authorization = AUTHORIZATION;
    webhook.add(line('b'), 1);
    await expect.poll(() => collector.received.length).toBe(2);
    expect(collector.received.map((one) => one.authorization)).toEqual(['Bearer first', AUTHORIZATION]);
    collector.status = 403;
    webhook.add(line('c'), 1);
    await expect.poll(() => log.text).toContain('403');
    expect(log.text).not.toContain('Splunk');
  });

  test.each([500, 503, 429, 408, 401, 403, 404, 307])('that answers %d is asked again', async (status) => {
    collector.status = status;
    webhook.add(line('a'), 1);
    webhook.add(line('b'), 1);
    await expect.poll(() => collector.asked).toBeGreaterThan(3);
    expect(counts).toEqual({ delivered: 0, dropped: 0 });
    collector.status = 204;
    await expect.poll(() => counts.delivered).toBe(2);
    expect(collector.text).toBe('a\nb\n');
    expect(log.lines).toEqual([
      `the audit webhook does not take lines; they wait for it {"status":${status}}`,
      'the audit webhook takes lines again {"dropped":0}',
    ]);
  });

  test.each([400, 413, 422])(
    'that answers %d to a batch is not asked again for it, but for the next',
    async (status) => {
      collector.status = status;
      webhook.add(line('a'), 1);
      await expect.poll(() => counts.dropped).toBe(1);
      collector.status = 200;
      webhook.add(line('b'), 1);
      await expect.poll(() => counts.delivered).toBe(1);
      expect(collector.text).toBe('b\n');
    },
  );

  test('that is not there, or is another one, is asked again', async () => {
    await webhook.close();
    const url = collector.url;
    webhook = hook({ url, fetch: fetchTrusting((await makeCertificates()).ca) });
    webhook.add(line('a'), 1);
    await expect.poll(() => log.text).toContain('the audit webhook does not take lines');
    expect(collector.asked).toBe(0);
  });

  test('that is back after a long time gets what was held, and is told of nothing that was dropped meanwhile', async () => {
    await webhook.close();
    webhook = hook({ heldBytes: 10 });
    collector.status = 503;
    for (const text of ['aaaa', 'bbbb', 'cccc', 'dddd']) webhook.add(line(text), 1);
    expect(counts.dropped).toBe(2);
    collector.status = 200;
    await expect.poll(() => counts.delivered).toBe(2);
    webhook.add(line('eeee'), 1);
    await expect.poll(() => counts.delivered).toBe(3);
    expect(collector.text).toBe('aaaa\nbbbb\neeee\n');
    expect(log.text).toContain('{"dropped":2}');
  });

  test('is told the last checkpoint of those that waited', async () => {
    let open = (): void => undefined;
    collector.gate = new Promise((resolve) => (open = resolve));
    collector.status = 503;
    webhook.checkpoint(LINK);
    await expect.poll(() => collector.asked).toBe(1);
    webhook.checkpoint({ ...LINK, sequence: 8 });
    webhook.checkpoint({ ...LINK, sequence: 9 });
    open();
    await expect.poll(() => collector.asked).toBeGreaterThan(1);
    collector.status = 200;
    const last = `${LINK.chain}:9:${LINK.hash}`;
    await expect.poll(() => collector.checkpoints).toEqual([last]);
  });
});

describe('the end', () => {
  test('waits until what is held was delivered', async () => {
    for (let index = 0; index < 50; index += 1) webhook.add(line(String(index)), 1);
    webhook.checkpoint(LINK);
    await webhook.close();
    expect(counts).toEqual({ delivered: 50, dropped: 0 });
    expect(collector.checkpoints).toHaveLength(1);
  });

  test.each<[string, (collector: Collector) => void]>([
    ['hangs', (held) => (held.gate = new Promise(() => undefined))],
    ['refuses', (refusing) => (refusing.status = 503)],
  ])(
    'does not wait long for a collector that %s, and what it did not get counts as dropped',
    async (_what, spoil) => {
      spoil(collector);
      webhook.add(line('a'), 1);
      await expect.poll(() => collector.asked).toBeGreaterThan(0);
      const began = performance.now();
      await webhook.close();
      expect(performance.now() - began).toBeLessThan(1_000);
      expect(counts).toEqual({ delivered: 0, dropped: 1 });
      webhook.add(line('b'), 1);
      expect(counts.dropped).toBe(2);
    },
  );
});

describe('an authorization that does not come', () => {
  let asked: number;
  let waits: number;
  let tell: () => void;
  beforeEach(async () => {
    await webhook.close();
    asked = waits = 0;
    const told = new Promise<string>((resolve) => {
      tell = () => {
        resolve(AUTHORIZATION);
      };
    });
    const authorization = (): Promise<string> => {
      asked += 1;
      return told;
    };
    const random = (): number => {
      waits += 1;
      return 0;
    };
    webhook = hook({ authorization, random });
  });

  test('does not keep the end', async () => {
    webhook.add(line('a'), 1);
    const began = performance.now();
    await webhook.close();
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(counts).toEqual({ delivered: 0, dropped: 1 });
    expect(collector.asked).toBe(0);
  });

  test('is told in the log, and awaited by each attempt, not asked for anew: each question may hold a thread', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      webhook.add(line('a'), 1);
      while (waits < 3) {
        await vi.advanceTimersByTimeAsync(10_000);
        await turn();
      }
    } finally {
      vi.useRealTimers();
    }
    expect(asked).toBe(1);
    expect(log.text).toContain('the audit webhook does not take lines; they wait for it');
    tell();
    await expect.poll(() => counts.delivered).toBe(1);
    expect(collector.received.map((one) => one.authorization)).toEqual([AUTHORIZATION]);
  });
});

describe('of a record in a file', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyhole-webhook-'));
    path = join(directory, 'audit.ndjson');
    return () => rm(directory, { recursive: true });
  });

  test('a collector has every byte, can prove it, and holds the checkpoint of the end', async () => {
    const audit = await openAuditFile(path, {
      writer: WRITER,
      onLines: (lines, count) => {
        webhook.add(lines, count);
      },
      onCheckpoint: (link) => {
        webhook.checkpoint(link);
      },
    });
    await Promise.all(Array.from({ length: 200 }, (_, index) => audit.append(auditEvent(String(index)))));
    await audit.close();
    await webhook.close();
    expect(collector.text).toBe(await readFile(path, 'utf8'));
    const copy = join(directory, 'collected.ndjson');
    await writeFile(copy, collector.text);
    const checkpoints = collector.checkpoints.flatMap((text) => parseCheckpoint(text) ?? []);
    expect(checkpoints).toHaveLength(1);
    expect(await verifyAudit([copy], checkpoints)).toMatchObject({ lines: 201, mistakes: [], notes: [] });
  });

  test('a collector that hangs keeps no record waiting', async () => {
    collector.gate = new Promise(() => undefined);
    const audit = await openAuditFile(path, {
      writer: WRITER,
      onLines: (lines, count) => {
        webhook.add(lines, count);
      },
    });
    await Promise.all(Array.from({ length: 200 }, (_, index) => audit.append(auditEvent(String(index)))));
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(202);
    expect(counts.delivered).toBe(0);
    await audit.close();
  });
});
