// Parts of the server by themselves, where a socket would not show them.
import { PassThrough } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { KeyholeError } from '../../src/errors.js';
import { CallerDeadline } from '../../src/server/admission/caller-deadline.js';
import { eachOf } from '../../src/server/each-of.js';
import { endMalformed } from '../../src/server/http/malformed.js';
import { loggedError } from '../../src/server/telemetry/error-log.js';

afterEach(() => {
  vi.useRealTimers();
});

/** What a connection is told that gave up with this error, while these requests were in progress on it. */
async function toldOf(code: string, ...answered: boolean[]): Promise<string> {
  const socket = new PassThrough();
  endMalformed(
    Object.assign(new Error(code), { code }),
    socket,
    answered.map((begun) => ({ answered: begun })),
  );
  const chunks: Buffer[] = [];
  for await (const chunk of socket.on('error', () => undefined)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString().split('\r\n')[0] ?? '';
}

test('a request that is too slow is told so, unless its answer has begun or it is not the only one', async () => {
  expect(await toldOf('ERR_HTTP_REQUEST_TIMEOUT')).toBe('HTTP/1.1 408 Request Timeout');
  expect(await toldOf('ERR_HTTP_REQUEST_TIMEOUT', false)).toBe('HTTP/1.1 408 Request Timeout');
  await expect(toldOf('ERR_HTTP_REQUEST_TIMEOUT', true)).rejects.toThrow();
  await expect(toldOf('ERR_HTTP_REQUEST_TIMEOUT', false, false)).rejects.toThrow();
  await expect(toldOf('HPE_INVALID_METHOD', false)).rejects.toThrow();
  await expect(toldOf('ECONNRESET')).rejects.toThrow();
});

const wait = <T>(later: Promise<T>): Promise<T> => later;

test('work on many items: nothing is awaited where all is there, and the first failure is the answer', async () => {
  expect(await eachOf([1, 2], wait, (item) => item * 2)).toEqual([2, 4]);
  expect(await eachOf([1, 2], wait, (item) => (item > 1 ? Promise.resolve(item) : item))).toEqual([1, 2]);
  const failing = (at: number, item: number): number => {
    if (item === at) throw new KeyholeError('key_unavailable', `item ${item}`);
    return item;
  };
  await expect(eachOf([1, 2], wait, (item) => failing(1, item))).rejects.toThrow('item 1');
});

test('a failure at once leaves none that comes later without a listener', async () => {
  const work = (item: number): Promise<number> => {
    if (item === 2) throw new KeyholeError('key_denied', 'at once');
    return Promise.reject(new KeyholeError('key_unavailable', 'later'));
  };
  await expect(eachOf([1, 2, 3], wait, work)).rejects.toThrow();
});

test('a log has names, codes, places and our own sentences of an error, but no text of others', () => {
  const cause = new TypeError('a token: abc');
  const logged = loggedError(new KeyholeError('key_unavailable', 'the key service failed', { cause }));
  expect(logged).toMatchObject({
    name: 'KeyholeError',
    code: 'key_unavailable',
    message: 'the key service failed',
    cause: {
      name: 'TypeError',
      at: expect.arrayContaining([expect.stringContaining('small-parts')]) as string[],
    },
  });
  expect(JSON.stringify(logged)).not.toContain('abc');
  const circular = new Error('x');
  circular.cause = circular;
  expect(JSON.stringify(loggedError(circular)).length).toBeLessThan(10_000);
  expect(loggedError('thrown text')).toEqual({ name: 'string' });
});

test('a deadline is one for all that is asked, and aborts what it gives up on', async () => {
  vi.useFakeTimers();
  const whole = new CallerDeadline({ monotonic: () => Date.now() }, 5_000);
  const first = whole.run(
    'authz_unavailable',
    () => new Promise((resolve) => setTimeout(resolve, 3_000, 'roles')),
  );
  await vi.advanceTimersByTimeAsync(3_000);
  expect(await first).toBe('roles');
  const { signal } = whole;
  const second = whole
    .run('kms_unavailable', () => new Promise(() => undefined))
    .catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(1_999);
  expect(signal.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await second).toMatchObject({ code: 'kms_unavailable' });
  expect(signal.aborted).toBe(true);
});

test('a signal that is asked for once the time of a request is up has aborted already', async () => {
  vi.useFakeTimers();
  const whole = new CallerDeadline({ monotonic: () => Date.now() }, 5_000);
  const refused = whole.run('authz_unavailable', () => new Promise(() => undefined)).catch(() => 'refused');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await refused).toBe('refused');
  expect(whole.signal.aborted).toBe(true);
});
