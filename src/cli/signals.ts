// Signals of a process that serves, from its first moment on.
import { EXIT } from './exit-codes.js';

export interface Signals {
  /** Resolves with the first SIGTERM, or Ctrl-C (`hurry`); the next one of either ends the process with 1. */
  readonly stop: Promise<{ readonly hurry: boolean }>;
  /** What SIGHUP does from now on; before, it does nothing. */
  onReload(reload: () => void): void;
}

export function listenForSignals(): Signals {
  let reload = (): void => undefined;
  process.on('SIGHUP', () => {
    reload();
  });
  const stop = new Promise<{ hurry: boolean }>((resolve) => {
    let stopping = false;
    const listen = (name: NodeJS.Signals, hurry: boolean): void => {
      process.on(name, () => {
        if (stopping) process.exit(EXIT.failed);
        stopping = true;
        resolve({ hurry });
      });
    };
    listen('SIGTERM', false);
    listen('SIGINT', true);
  });
  return {
    stop,
    onReload: (next) => {
      reload = next;
    },
  };
}
