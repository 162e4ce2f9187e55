// What a record is told of the requests beside it.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Admission } from '../../../src/server/admission/admission.js';
import { overloaded } from '../../../src/server/admission/overloaded.js';
import { DEFAULT_LIMITS } from '../../../src/server/limits.js';
import { gate } from '../../gate.js';
import { connectRaw, head, statusesOf } from '../http/raw-connection.js';
import { ORDERS, startServer, TOKENS, type RunningServer } from '../running-server.js';

/** Whether the record of a request is told that more come, once another request beside it has begun `work`. */
async function moreComeBeside(
  work: (admission: Admission, end: Promise<void>) => Promise<void>,
): Promise<boolean> {
  const admission = new Admission();
  const end = gate();
  const begun = gate();
  const other = admission.during(DEFAULT_LIMITS, async () => {
    begun.open();
    await work(admission, end.opened);
  });
  await begun.opened;
  let more: boolean | undefined;
  await admission.during(DEFAULT_LIMITS, () =>
    admission.whileRecorded(async (moreSoon) => {
      more = moreSoon();
      await Promise.resolve();
    }),
  );
  end.open();
  await other;
  return more ?? expect.fail('nothing was recorded');
}

describe('more records are expected', () => {
  test('while another request is worked on', async () => {
    expect(await moreComeBeside((_admission, end) => end)).toBe(true);
  });

  test('though a record failed before', async () => {
    const more = moreComeBeside(async (admission, end) => {
      await admission.whileRecorded(() => Promise.reject(new Error('full'))).catch(() => undefined);
      await end;
    });
    expect(await more).toBe(true);
  });
});

describe('no more records are expected', () => {
  test('of a request that waits for its own', async () => {
    expect(await moreComeBeside((admission, end) => admission.whileRecorded(() => end))).toBe(false);
  });

  test('of one that waits for keys, roles or its turn', async () => {
    const waiter = { name: 'someone', exceeded: overloaded };
    const more = moreComeBeside((admission, end) => admission.waits.until(end, waiter, DEFAULT_LIMITS));
    expect(await more).toBe(false);
  });

  test('of requests that are over', async () => {
    expect(await moreComeBeside(() => Promise.resolve())).toBe(false);
  });
});

describe('a server', () => {
  let running: RunningServer | undefined;

  afterEach(async () => {
    vi.useRealTimers();
    await running?.stop();
  });

  test('tells its record whether another request is about to come to its own', async () => {
    running = await startServer();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }); // no body becomes slow
    const headers = { Host: 'localhost', Authorization: `Bearer ${TOKENS.admin}`, 'X-Namespace': ORDERS };
    const json = { ...headers, 'Content-Type': 'application/json', 'Content-Length': '2' };
    const other = await connectRaw(running.port);
    other.send(`${head('/decode', json)}{`);
    await expect.poll(() => running?.authorizer.asked).toHaveLength(1);
    await running.ask('/decode', { as: 'admin', namespace: ORDERS });
    other.send('}');
    await other.until((text) => statusesOf(text).length === 1);
    expect(running.audit.moreSoon).toEqual([true, false]);
    other.end();
  });
});
