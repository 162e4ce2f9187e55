// What we depend on fails, hangs or comes back: a 503 with a code, never plaintext, never a hang.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KeyholeError } from '../../src/errors.js';
import { plantSecret } from '../streams.js';
import {
  bodyOf,
  ORDERS,
  plainPayload,
  startServer,
  textOf,
  type Answer,
  type RunningServer,
} from './running-server.js';

const SECRET = plantSecret('what a fault must not reveal');

let running: RunningServer;
let body: string;

beforeEach(async () => {
  running = await startServer();
  body = bodyOf(await running.cipher.seal(plainPayload(SECRET), ORDERS));
});

afterEach(async () => {
  vi.useRealTimers();
  await running.stop();
});

const decode = (): Promise<Answer> => running.ask('/decode', { as: 'admin', namespace: ORDERS, body });

function expect503(answer: Answer, code: string): void {
  expect([answer.status, answer.code()]).toEqual([503, code]);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(60);
}

async function expectPlaintext(): Promise<void> {
  expect(textOf((await decode()).payloads()[0])).toBe(SECRET);
}

const never = new Promise<void>(() => undefined);

describe('a fault', () => {
  test('of the key sets is jwks_unavailable, of the roles authz_unavailable, with the wait they ask for', async () => {
    running.authenticator.failure = new KeyholeError('jwks_unavailable', 'no keys', { retryAfterMs: 29_500 });
    const jwks = await decode();
    expect503(jwks, 'jwks_unavailable');
    expect(jwks.headers['retry-after']).toBe('30');
    running.authenticator.failure = undefined;
    running.authorizer.failure = new KeyholeError('authz_unavailable', 'no roles');
    expect503(await decode(), 'authz_unavailable');
    running.authorizer.failure = undefined;
    await expectPlaintext();
    expect(running.audit.events.map(({ outcome }) => outcome)).toEqual(['authz_unavailable', 'ok']);
  });

  test('of the record is audit_unavailable, and no byte of plaintext goes out', async () => {
    running.audit.failure = new KeyholeError('audit_unavailable', 'the disk is full: /var/audit');
    const answer = await decode();
    expect503(answer, 'audit_unavailable');
    expect(answer.body.toString()).not.toContain('/var/audit');
    running.audit.failure = undefined;
    await expectPlaintext();
  });

  test('of the record hides a refusal as well', async () => {
    running.audit.failure = new KeyholeError('audit_unavailable', 'full');
    expect503(await running.ask('/decode', { as: 'reader', namespace: ORDERS, body }), 'audit_unavailable');
  });

  test.each(['key_unavailable', 'key_throttled', 'key_answer_invalid'] as const)(
    '%s of the key service is kms_unavailable; what is cached still opens',
    async (code) => {
      await expectPlaintext();
      running.key.failure = new KeyholeError(code, 'down', { retryAfterMs: 10_000 });
      await expectPlaintext();
      running.dataKeys.clear();
      expect503(await decode(), 'kms_unavailable');
      running.key.failure = undefined;
      running.dataKeys.clear(); // the ten seconds that the service asked for need not pass here
      await expectPlaintext();
    },
  );
});

describe('a part that never answers ends the wait after 5 seconds in all', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });

  async function answerAfter(ms: number, asked: () => boolean): Promise<Answer> {
    const answer = decode();
    await expect.poll(asked).toBe(true);
    await vi.advanceTimersByTimeAsync(ms - 100);
    const early = await Promise.race([answer, Promise.resolve('waiting')]);
    expect(early).toBe('waiting');
    await vi.advanceTimersByTimeAsync(200);
    return answer;
  }

  test('the key sets', async () => {
    running.authenticator.gate = never;
    expect503(await answerAfter(5_000, () => running.authenticator.asked > 0), 'jwks_unavailable');
  });

  test('the roles', async () => {
    running.authorizer.gate = never;
    expect503(await answerAfter(5_000, () => running.authorizer.asked.length > 0), 'authz_unavailable');
  });

  test('the key service, by its own deadline', async () => {
    running.dataKeys.clear();
    running.key.calls.length = 0;
    running.key.gate = never;
    expect503(await answerAfter(1_000, () => running.key.calls.length > 0), 'kms_unavailable');
  });

  test('the record, after 2 seconds more', async () => {
    let asked = false;
    running.audit.gate = new Promise(() => undefined);
    vi.spyOn(running.audit, 'append').mockImplementation(async () => {
      asked = true;
      await never;
    });
    expect503(await answerAfter(2_000, () => asked), 'audit_unavailable');
  });
});

test('the answer waits for the record', async () => {
  let write: (() => void) | undefined;
  running.audit.gate = new Promise((resolve) => {
    write = resolve;
  });
  let answered = false;
  const answer = decode().then((value) => {
    answered = true;
    return value;
  });
  await expect.poll(() => running.authorizer.asked.length).toBe(1);
  await running.ask('/health/live', { method: 'GET' });
  expect(answered).toBe(false);
  write?.();
  expect((await answer).status).toBe(200);
});

describe('health', () => {
  const get = (path: string): Promise<Answer> => running.ask(path, { method: 'GET' });

  test('is live always, and ready once key sets are loaded, whatever key service and roles do', async () => {
    running.key.failure = new Error('down');
    running.authorizer.failure = new Error('down');
    expect([(await get('/health/live')).status, (await get('/health/ready')).status]).toEqual([200, 200]);
    running.authenticator.isReady = false;
    expect([(await get('/health/live')).status, (await get('/health/ready')).status]).toEqual([200, 503]);
    const head = await running.ask('/health/ready', { method: 'HEAD' });
    expect([head.status, head.body.length]).toEqual([503, 0]);
    expect(running.audit.events).toEqual([]);
  });
});
