// Work on each of many payloads that mostly answers at once, and sometimes later.

/**
 * Waits for what is not there yet, and not for ever.
 *
 * @param settled - resolves once nothing works on it any more: what fails first leaves the rest at work.
 */
export type Wait = <T>(later: Promise<T>, settled: Promise<unknown>) => Promise<T>;

/**
 * All results in order, or the first failure; no other failure is left without a listener, which would end the
 * process. Nothing is awaited where everything is there at once.
 *
 * @throws what `work` and `wait` throw.
 */
export async function eachOf<T, R>(
  items: readonly T[],
  wait: Wait,
  work: (item: T, index: number) => R | Promise<R>,
): Promise<readonly R[]> {
  const results: (R | Promise<R>)[] = [];
  let later = false;
  for (const [index, item] of items.entries()) {
    try {
      const result = work(item, index);
      later ||= result instanceof Promise;
      results.push(result);
    } catch (error) {
      if (!later) throw error;
      results.push(rejected(error));
      break;
    }
  }
  if (!later) return results as R[];
  return wait(Promise.all(results), Promise.allSettled(results));
}

async function rejected(error: unknown): Promise<never> {
  await Promise.resolve();
  throw error;
}
