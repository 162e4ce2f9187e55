// A signal that aborts after a time or with another one, and is not lost meanwhile, as Node 20 loses its own.

/** Kept until their time is up: on Node 20 nothing else does, not even a `fetch` that waits with one. */
const kept = new Set<AbortSignal>();

/**
 * Aborts with a `TimeoutError` after `ms` milliseconds, or with `signal` and its reason if that comes first. It keeps
 * no process alive.
 *
 * `AbortSignal.any([signal, AbortSignal.timeout(ms)])` promises the same, but on Node 20 it may be garbage-collected
 * while it is waited with, and then never aborts.
 */
export function abortAfter(ms: number, signal?: AbortSignal): AbortSignal {
  const late = new AbortController();
  const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
  kept.add(either);
  const timer = setTimeout(() => {
    late.abort(new DOMException('the operation took too long', 'TimeoutError'));
    kept.delete(either);
  }, ms);
  timer.unref();
  return either;
}
