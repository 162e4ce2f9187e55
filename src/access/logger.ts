// What access needs of a log: two levels, fields first, as pino takes them.

export interface AccessLogger {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export const silentLogger: AccessLogger = { info: () => undefined, warn: () => undefined };
