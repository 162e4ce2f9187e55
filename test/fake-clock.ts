// A clock that only the test moves.
import type { Clock } from '../src/clock.js';

export class FakeClock implements Clock {
  wallMs = Date.parse('2026-11-24T12:00:00Z');
  monotonicMs = 5_000;

  wall = (): number => this.wallMs;
  monotonic = (): number => this.monotonicMs;

  pass(ms: number): void {
    this.wallMs += ms;
    this.monotonicMs += ms;
  }
}
