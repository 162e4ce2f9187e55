// Every key-service call ends in time, is bounded in number, and is repeated only where that may help.
import { describe, expect, test } from 'vitest';
import { KeyholeError, type KeyholeEvent, type WrappingKey } from '../../src/index.js';
import { KeyCalls, type KeyCallsOptions } from '../../src/keys/key-calls.js';
import { FakeWrappingKey } from '../../src/testing.js';

const key: WrappingKey = new FakeWrappingKey();

function run<T>(
  calls: KeyCalls,
  operation: (signal: AbortSignal) => Promise<T>,
  refusalKey = 'r',
): Promise<T> {
  return calls.run('unwrap', key, 'orders.a1b2c', refusalKey, ({ signal }) => operation(signal));
}

function counting(...outcomes: (KeyholeError | 'answer')[]): {
  operation: () => Promise<string>;
  count: () => number;
} {
  let count = 0;
  return {
    operation: () => {
      const outcome = outcomes[Math.min(count++, outcomes.length - 1)];
      return outcome instanceof KeyholeError ? Promise.reject(outcome) : Promise.resolve('answer');
    },
    count: () => count,
  };
}

const unavailable = new KeyholeError('key_unavailable', 'down');

describe('a key-service call', () => {
  test('that hangs ends at the deadline, its signal aborted', async () => {
    let aborted: AbortSignal | undefined;
    const hanging = run(new KeyCalls({ deadlineMs: 20 }), (signal) => {
      aborted = signal;
      return new Promise<never>(() => undefined);
    });
    await expect(hanging).rejects.toMatchObject({ code: 'key_unavailable' });
    expect(aborted?.aborted).toBe(true);
  });

  test('that hangs gives back its place at the deadline, and is reported', async () => {
    const events: KeyholeEvent[] = [];
    const calls = new KeyCalls({ deadlineMs: 20, concurrency: 1, observer: (event) => events.push(event) });
    await expect(run(calls, () => new Promise<never>(() => undefined))).rejects.toThrow('in time');
    expect(events).toMatchObject([{ type: 'key_call', outcome: 'key_unavailable' }]);
    expect(await run(calls, () => Promise.resolve('answer'))).toBe('answer');
  });

  test('that fails in passing is tried three times', async () => {
    const flaky = counting(unavailable, unavailable, 'answer');
    expect(await run(new KeyCalls(), flaky.operation)).toBe('answer');
    const dead = counting(unavailable);
    await expect(run(new KeyCalls(), dead.operation)).rejects.toMatchObject({ code: 'key_unavailable' });
    expect([flaky.count(), dead.count()]).toEqual([3, 3]);
  });

  test.each(['key_denied', 'key_gone', 'key_wrong_context', 'key_answer_invalid'] as const)(
    'refused with %s is not tried again',
    async (code) => {
      const refused = counting(new KeyholeError(code, 'no'));
      await expect(run(new KeyCalls(), refused.operation)).rejects.toMatchObject({ code });
      expect(refused.count()).toBe(1);
    },
  );

  test('throttled for longer than we would wait is given up at once, with the service’s own Retry-After', async () => {
    const throttled = counting(new KeyholeError('key_throttled', 'slow down', { retryAfterMs: 30_000 }));
    await expect(run(new KeyCalls(), throttled.operation)).rejects.toMatchObject({ retryAfterMs: 30_000 });
    expect(throttled.count()).toBe(1);
  });

  test('waits for a place: never more than the bulkhead’s are in flight', async () => {
    let [inFlight, most] = [0, 0];
    const calls = new KeyCalls({ concurrency: 4 });
    const one = async (): Promise<void> => {
      most = Math.max(most, ++inFlight);
      await new Promise(setImmediate);
      inFlight -= 1;
    };
    await Promise.all(Array.from({ length: 40 }, () => run(calls, one)));
    expect(most).toBe(4);
  });

  test('beyond the process’s rate is refused here, not sent, and the rate recovers', async () => {
    let nowMs = 0;
    const calls = new KeyCalls({ callsPerSecond: 2, now: () => nowMs } satisfies KeyCallsOptions);
    const service = counting('answer');
    for (let i = 0; i < 10; i++) await run(calls, service.operation);
    await expect(run(calls, service.operation)).rejects.toMatchObject({
      code: 'key_throttled',
      retryAfterMs: 1000,
    });
    expect(service.count()).toBe(10);
    nowMs += 500;
    await run(calls, service.operation);
    expect(service.count()).toBe(11);
  });

  test('is reported once for every try, by its configured name', async () => {
    const events: KeyholeEvent[] = [];
    await run(
      new KeyCalls({ observer: (event) => events.push(event) }),
      counting(unavailable, 'answer').operation,
    );
    expect(events).toMatchObject([
      {
        type: 'key_call',
        operation: 'unwrap',
        provider: 'fake',
        key: 'fake-key',
        outcome: 'key_unavailable',
      },
      { type: 'key_call', outcome: 'ok' },
    ]);
  });
});

describe('a wrapping key whose service fails', () => {
  let nowMs = 0;
  const calls = (): KeyCalls => new KeyCalls({ now: () => nowMs });

  test('is asked three times, then once after each pause, however many requests there are', async () => {
    const [service, down] = [calls(), counting(unavailable)];
    const ask = async (): Promise<void> => {
      await expect(run(service, down.operation)).rejects.toMatchObject({ code: 'key_unavailable' });
    };
    await ask();
    const counts = [down.count()];
    for (const passesMs of [0, 1_000, 1_999, 1, 3_999, 1, 3_999, 1]) {
      nowMs += passesMs;
      for (let request = 0; request < 100; request++) await ask();
      counts.push(down.count());
    }
    expect(counts).toEqual([3, 3, 4, 4, 5, 5, 6, 6, 7]);
  });

  test('is asked by one alone after a pause; the others go on once it has answered', async () => {
    const [service, flaky] = [calls(), counting(unavailable, unavailable, unavailable, 'answer')];
    await expect(run(service, flaky.operation)).rejects.toThrow('down');
    nowMs += 1_000;
    const [first, second] = await Promise.allSettled([
      run(service, flaky.operation),
      run(service, flaky.operation),
    ]);
    expect(first).toMatchObject({ value: 'answer' });
    expect(second).toMatchObject({ reason: { code: 'key_unavailable', retryAfterMs: 1_000 } });
    expect(await run(service, flaky.operation)).toBe('answer');
  });

  test('is left alone for as long as it asks for', async () => {
    const slowDown = new KeyholeError('key_throttled', 'slow down', { retryAfterMs: 30_000 });
    const [service, throttled] = [calls(), counting(slowDown, 'answer')];
    await expect(run(service, throttled.operation)).rejects.toBe(slowDown);
    nowMs += 29_000;
    await expect(run(service, throttled.operation)).rejects.toMatchObject({ retryAfterMs: 1_000 });
    nowMs += 1_000;
    expect(await run(service, throttled.operation)).toBe('answer');
  });

  test('keeps no other key from being asked', async () => {
    const service = calls();
    await expect(run(service, counting(unavailable).operation)).rejects.toThrow('down');
    const other = new FakeWrappingKey('other');
    expect(await service.run('unwrap', other, null, 'r', () => Promise.resolve('answer'))).toBe('answer');
  });

  test('that refuses, or answers what cannot be right, is not left alone: one payload can bring that about', async () => {
    const service = calls();
    for (const code of ['key_wrong_context', 'key_answer_invalid'] as const) {
      const refusing = counting(new KeyholeError(code, 'no'));
      for (let request = 0; request < 5; request++)
        await expect(run(service, refusing.operation, `${code} ${request}`)).rejects.toMatchObject({ code });
      expect(refusing.count()).toBe(5);
    }
  });
});
