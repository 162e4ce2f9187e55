// What one caller may ask for: what is owed for calls to key services.
import { expect, test } from 'vitest';
import type { Principal } from '../../../src/access/principal.js';
import { CallerBudgets } from '../../../src/server/admission/caller-budgets.js';
import { errorResponse } from '../../../src/server/error-response.js';
import { DEFAULT_LIMITS } from '../../../src/server/limits.js';

const who: Principal = { subject: 'a', issuer: 'i', email: undefined, method: 'bearer', expiresAtMs: 0 };

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
