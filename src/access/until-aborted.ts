// Ends a caller's wait without ending what is waited for.

/**
 * What `work` answers, or a rejection with `late()` once `signal` aborts; the work itself goes on for the next caller.
 * Never leaves a rejection unhandled.
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(late());
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', stop);
    });
  });
}
