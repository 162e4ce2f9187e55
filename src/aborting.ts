// No wait without an end: a signal that aborts after a time, a wait that ends with a signal.

/**
 * Aborts with a `TimeoutError` after `ms` milliseconds, or with `signal` and its reason if that comes first. It keeps
 * no process alive. Let `signal` live no longer than what it is for: Node keeps some bytes in it for each call.
 *
 * `AbortSignal.any([signal, AbortSignal.timeout(ms)])` promises the same, but on Node 20 nothing keeps the second one:
 * it may be garbage-collected while a `fetch` waits, and then never aborts. Here its timer keeps it.
 */
export function abortAfter(ms: number, signal?: AbortSignal): AbortSignal {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new DOMException('the operation took too long', 'TimeoutError'));
  }, ms);
  timer.unref();
  return signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
}

/**
 * What `work` answers, or a rejection with what `late` says once `signal` aborts: by default with the signal's reason.
 * The work itself goes on. Never leaves a rejection unhandled.
 */
export function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late = (): Error => signal.reason as Error,
): Promise<T> {
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
