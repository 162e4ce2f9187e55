// Leaves a key service alone for a moment after it failed several times in a row, each wrapping key by itself.

/** Failures in a row after which there is a pause. */
const FAILURES = 3;
/** The first pause; each call that fails after one doubles it, up to the longest. So a repair is noticed within 5 s. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 4_000;
/** A longer wait is not believed, whatever the service asks for. */
const LONGEST_ASKED_MS = 60_000;
/** Failing keys kept in mind; beyond it the one that failed first is forgotten. */
const MAX_KEYS = 1_000;

interface Failing {
  failures: number;
  pauseMs: number;
  untilMs: number;
  /** Whether a call is on its way that tells whether the pause goes on. */
  trying: boolean;
}

export class Breaker {
  readonly #now: () => number;
  readonly #failing = new Map<string, Failing>();

  /** @param now - monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** How long a key is left alone yet; 0 if it may be asked. */
  pauseMs(key: string): number {
    return Math.max(0, (this.#failing.get(key)?.untilMs ?? 0) - this.#now());
  }

  /** Whether a call may go. After a pause it is one, and one more for each second that this one takes. */
  admits(key: string): boolean {
    const failing = this.#failing.get(key);
    if (failing === undefined) return true;
    if (this.pauseMs(key) > 0) return false;
    if (failing.pauseMs === 0) return true;
    failing.trying = true;
    failing.untilMs = this.#now() + FIRST_PAUSE_MS;
    return true;
  }

  /** The service answered, be it a refusal. */
  answered(key: string): void {
    this.#failing.delete(key);
  }

  /** @param askedMs - how long the service asks to be left alone; 0 where the caller waits for that itself. */
  failed(key: string, askedMs: number): void {
    const failing = this.#failing.get(key) ?? this.#started(key);
    failing.failures += 1;
    if (failing.failures === FAILURES) pause(failing, FIRST_PAUSE_MS, this.#now());
    else if (failing.trying) pause(failing, Math.min(2 * failing.pauseMs, LONGEST_PAUSE_MS), this.#now());
    const askedUntilMs = this.#now() + Math.min(askedMs, LONGEST_ASKED_MS);
    failing.untilMs = Math.max(failing.untilMs, askedUntilMs);
  }

  clear(): void {
    this.#failing.clear();
  }

  #started(key: string): Failing {
    const [oldest] = this.#failing.keys();
    if (this.#failing.size >= MAX_KEYS && oldest !== undefined) this.#failing.delete(oldest);
    const failing = { failures: 0, pauseMs: 0, untilMs: 0, trying: false };
    this.#failing.set(key, failing);
    return failing;
  }
}

function pause(failing: Failing, pauseMs: number, nowMs: number): void {
  failing.pauseMs = pauseMs;
  failing.untilMs = nowMs + pauseMs;
  failing.trying = false;
}
