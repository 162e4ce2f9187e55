// What every part of a running dev mode is given: its options, where it speaks, how it ends.
import type { Endings } from './endings.js';
import type { DevPorts } from './ports.js';
import type { Screen, Steps } from './terminal.js';

export interface DevOptions {
  /** Ends after the table, instead of staying until Ctrl-C. */
  readonly once: boolean;
  /** The table, and what to open. */
  readonly stdout: Screen;
  /** What is being started, and what could not be. */
  readonly stderr: Screen;
  /** Read: `NO_COLOR`, and what `temporal-cli.ts` reads (`TEMPORAL_CLI`, `PATH`, …). */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends it as Ctrl-C would; without it the process's signals do. */
  readonly signal?: AbortSignal;
  /** Other ports than the usual; 0 takes any free one. */
  readonly ports?: Partial<DevPorts>;
  /** Fetches the Temporal CLI where there is none. Default is Node's. */
  readonly fetch?: typeof globalThis.fetch;
  /** Other roles than the usual, by e-mail: the table then says what is not as expected. */
  readonly people?: Readonly<Record<string, readonly string[]>>;
}

export interface Running extends DevOptions {
  readonly steps: Steps;
  readonly endings: Endings;
  readonly signal: AbortSignal;
}
