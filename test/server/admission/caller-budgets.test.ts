// What one caller may ask for: what is owed for calls to key services.
import { expect, test } from 'vitest';
import type { Principal } from '../../../src/access/principal.js';
import { CallerBudgets } from '../../../src/server/admission/caller-budgets.js';
import { errorResponse } from '../../../src/server/error-response.js';
import { DEFAULT_LIMITS } from '../../../src/server/limits.js';

const who = caller('a');

function caller(subject: string, issuer = 'i'): Principal {
  return { subject, issuer, email: undefined, method: 'bearer', expiresAtMs: 0 };
}

test('a caller whose requests at once had very many keys asked for is served when Retry-After says so', () => {
  let nowMs = 0;
  const budgets = new CallerBudgets({ monotonic: () => nowMs });
  const assertLeft = (): void => {
    budgets.assertKeyCallsLeft(who, DEFAULT_LIMITS);
  };
  for (let calls = 0; calls < 64_000; calls += 1) budgets.takeKeyCall(who, DEFAULT_LIMITS);
  let seconds: number | undefined;
  try {
    assertLeft();
  } catch (error) {
    seconds = errorResponse(error).retryAfterSeconds;
  }
  expect(seconds).toBe(60);
  nowMs += 30_000;
  expect(assertLeft).toThrow('2000 times a minute');
  nowMs += 30_000;
  expect(assertLeft).not.toThrow();
});

test('people of one name at two issuers have a budget each', () => {
  const budgets = new CallerBudgets({ monotonic: () => 0 });
  const limits = { ...DEFAULT_LIMITS, callerBurst: 1 };
  budgets.takeRequest(caller('a', 'one'), limits, () => false);
  expect(() => budgets.takeRequest(caller('a', 'one'), limits, () => false)).toThrow('requests a second');
  expect(budgets.takeRequest(caller('a', 'two'), limits, () => false)).toBe(0);
});

test('of 10,000 callers and one more the one is forgotten that asked longest ago', () => {
  const budgets = new CallerBudgets({ monotonic: () => 0 });
  const limits = { ...DEFAULT_LIMITS, callerBurst: 2 };
  const ask = (subject: string): number => budgets.takeRequest(caller(subject), limits, () => false);
  for (let index = 0; index < 10_000; index++) ask(`${index}`);
  ask('0');
  ask('another');
  expect(() => ask('0')).toThrow('requests a second');
  expect([ask('1'), ask('1')]).toEqual([0, 0]);
});
