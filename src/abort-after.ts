// A signal that aborts after a time or with another one, and is not lost meanwhile, as Node 20 loses its own.

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
