// How long somebody waits for who they are and what they may.

/** Whoever has the answer at hand never asks for `signal`: to make one costs more than most answers. */
export interface Patience {
  /** Ends the wait. */
  readonly signal: AbortSignal;
}
