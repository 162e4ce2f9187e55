// The log: each line reaches its file by itself, and those that come together are one write.
import fs, { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../src/config/logger.js';

describe('the log', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'keyhole-log-'));
    file = join(directory, 'log');
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(directory, { recursive: true });
  });

  function messages(): unknown[] {
    const lines = (existsSync(file) ? readFileSync(file, 'utf8') : '').split('\n');
    return lines.slice(0, -1).map((line) => (JSON.parse(line) as { msg: unknown }).msg);
  }

  test('writes a line though none follows, and another one after it', async () => {
    const { logger } = createLog('info', file);
    logger.info('alone');
    await vi.waitUntil(() => messages().length === 1);
    logger.info('and again');
    await vi.waitUntil(() => messages().length === 2);
    expect(messages()).toEqual(['alone', 'and again']);
  });

  test('writes lines that come together at once, in order', async () => {
    const { logger } = createLog('info', file);
    logger.info('until it is open');
    await vi.waitUntil(() => messages().length === 1);
    const writes = vi.spyOn(fs, 'write');
    for (let line = 0; line < 50; line++) logger.info(`line ${line}`);
    await vi.waitUntil(() => messages().length === 51);
    expect(writes).toHaveBeenCalledTimes(1);
    expect(messages().slice(1)).toEqual(Array.from({ length: 50 }, (_, line) => `line ${line}`));
  });

  test('has written everything once it was flushed', async () => {
    const { logger, flush } = createLog('info', file);
    logger.info('until it is open');
    await vi.waitUntil(() => messages().length === 1);
    const writes = vi.spyOn(fs, 'write');
    logger.info('one');
    logger.info('two');
    flush();
    expect(writes).not.toHaveBeenCalled(); // it would still be on its way
    expect(messages()).toEqual(['until it is open', 'one', 'two']);
  });
});
