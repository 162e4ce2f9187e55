// The exit codes of every command.

export const EXIT = {
  fine: 0,
  /** Failed at run time. */
  failed: 1,
  /** Wrong usage. */
  usage: 2,
  /** The configuration cannot be used (`EX_CONFIG` of sysexits.h). */
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
