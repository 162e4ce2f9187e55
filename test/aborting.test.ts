// A signal that aborts after a time does so whatever becomes of it, and no later than the signal behind it.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { abortAfter } from '../src/aborting.js';

const LONG_MS = 60_000;

let silent: Server;
let url: string;
let collecting: NodeJS.Timeout;
beforeAll(async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collecting = setInterval(collect, 20);
  silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
});
afterAll(() => {
  clearInterval(collecting);
  silent.closeAllConnections();
  silent.close();
});

describe('while memory is collected, a fetch that nobody answers', () => {
  test('ends after the time', async () => {
    const { signal } = new AbortController();
    await expect(fetch(url, { signal: abortAfter(300, signal) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  test('ends with the signal behind it', async () => {
    const stopped = new AbortController();
    setTimeout(() => {
      stopped.abort(new Error('stopped'));
    }, 300);
    await expect(fetch(url, { signal: abortAfter(LONG_MS, stopped.signal) })).rejects.toThrow('stopped');
  });
});

test('behind a signal that has aborted it has, too', () => {
  expect(abortAfter(LONG_MS, AbortSignal.abort('before')).reason).toBe('before');
});
