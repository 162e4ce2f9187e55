// The two clocks of every age: the wall's may be set, the monotonic one may stand still.

export interface MonotonicClock {
  /** Milliseconds that never go back; may stand still while the machine is suspended. */
  monotonic(): number;
}

export interface Clock extends MonotonicClock {
  /** Milliseconds since the epoch. */
  wall(): number;
}

export const systemClock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };

/** A moment on both clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.wall(), monotonicMs: clock.monotonic() };
}

/** How long ago a moment was: the larger of both clocks' answers, so that neither can make something younger. */
export function ageMs(clock: Clock, { wallMs, monotonicMs }: Moment): number {
  return Math.max(clock.wall() - wallMs, clock.monotonic() - monotonicMs);
}

/** How far the clocks went apart since a moment: far, where the machine was suspended, or the wall's was set. */
export function driftMs(clock: Clock, { wallMs, monotonicMs }: Moment): number {
  return Math.abs(clock.wall() - wallMs - (clock.monotonic() - monotonicMs));
}
