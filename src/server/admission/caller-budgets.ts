// How much one caller may ask for: requests a second with a burst, payloads and calls to key services a minute.
import type { Principal } from '../../access/principal.js';
import type { MonotonicClock } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import { CALLER_KEY_CALLS_PER_MINUTE, MAX_WAIT_MS, type Limits } from '../limits.js';
import { callerName } from './caller-name.js';

/** Callers remembered; beyond it the one that asked longest ago is forgotten. */
const MAX_CALLERS = 10_000;

interface Budget {
  requests: number;
  payloads: number;
  keyCalls: number;
  filledMs: number;
}

/** One instance a server; the limits come with each call, so that a reload changes them. */
export class CallerBudgets {
  readonly #clock: MonotonicClock;
  readonly #budgets = new Map<string, Budget>();

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /**
   * Takes one request. Beyond the burst it is that caller's turn later.
   *
   * @param mayWait - asked where it would have to.
   * @returns how long to wait first, in milliseconds, at most 1000.
   * @throws KeyholeError `rate_limited` where it would be longer, or may not be; then nothing is taken.
   */
  takeRequest(principal: Principal, limits: Limits, mayWait = (): boolean => true): number {
    const budget = this.#budgetOf(principal, limits);
    this.#forgetLast(callerName(principal), budget);
    const waitMs = ((1 - budget.requests) / limits.callerRequestsPerSecond) * 1000;
    const maxWaitMs = waitMs > 0 && mayWait() ? MAX_WAIT_MS : 0;
    if (waitMs > maxWaitMs) throw beyondRate(limits, waitMs - maxWaitMs);
    budget.requests -= 1;
    return Math.max(0, waitMs);
  }

  /** @throws KeyholeError `rate_limited` */
  takePayloads(principal: Principal, count: number, limits: Limits): void {
    const budget = this.#budgetOf(principal, limits);
    const missing = count - budget.payloads;
    if (missing > 0) {
      const waitMs = (missing / limits.callerPayloadsPerMinute) * 60_000;
      throw limited(`you may send ${limits.callerPayloadsPerMinute} payloads a minute`, waitMs);
    }
    budget.payloads -= count;
  }

  /**
   * A request asks a key service once more, also where another one has it asked for the same. Its calls are made all the
   * same: the next request pays for them, for those of one minute at most.
   */
  takeKeyCall(principal: Principal, limits: Limits): void {
    const budget = this.#budgetOf(principal, limits);
    budget.keyCalls = Math.max(1 - CALLER_KEY_CALLS_PER_MINUTE, budget.keyCalls - 1);
  }

  /** @throws KeyholeError `rate_limited` where earlier requests brought about too many calls to key services. */
  assertKeyCallsLeft(principal: Principal, limits: Limits): void {
    const { keyCalls } = this.#budgetOf(principal, limits);
    if (keyCalls >= 1) return;
    const waitMs = ((1 - keyCalls) / CALLER_KEY_CALLS_PER_MINUTE) * 60_000;
    throw limited(`you may have key services asked ${CALLER_KEY_CALLS_PER_MINUTE} times a minute`, waitMs);
  }

  #budgetOf(principal: Principal, limits: Limits): Budget {
    const caller = callerName(principal);
    const nowMs = this.#clock.monotonic();
    let budget = this.#budgets.get(caller);
    if (budget === undefined) {
      budget = {
        requests: limits.callerBurst,
        payloads: limits.callerPayloadsPerMinute,
        keyCalls: CALLER_KEY_CALLS_PER_MINUTE,
        filledMs: nowMs,
      };
      this.#forgetLast(caller, budget);
    }
    const passedMs = nowMs - budget.filledMs;
    const { callerBurst, callerRequestsPerSecond, callerPayloadsPerMinute } = limits;
    budget.requests = Math.min(callerBurst, budget.requests + (passedMs / 1000) * callerRequestsPerSecond);
    budget.payloads = Math.min(
      callerPayloadsPerMinute,
      budget.payloads + (passedMs / 60_000) * callerPayloadsPerMinute,
    );
    budget.keyCalls = Math.min(
      CALLER_KEY_CALLS_PER_MINUTE,
      budget.keyCalls + (passedMs / 60_000) * CALLER_KEY_CALLS_PER_MINUTE,
    );
    budget.filledMs = nowMs;
    return budget;
  }

  /** Forgotten after all others: it is the last in the map. */
  #forgetLast(caller: string, budget: Budget): void {
    this.#budgets.delete(caller);
    const [longestAgo] = this.#budgets.keys();
    if (this.#budgets.size >= MAX_CALLERS && longestAgo !== undefined) this.#budgets.delete(longestAgo);
    this.#budgets.set(caller, budget);
  }
}

export function beyondRate({ callerRequestsPerSecond }: Limits, waitMs: number): KeyholeError {
  return limited(`you may send ${callerRequestsPerSecond} requests a second`, waitMs);
}

function limited(what: string, waitMs: number): KeyholeError {
  return new KeyholeError('rate_limited', `${what}: try again later`, { retryAfterMs: waitMs });
}
