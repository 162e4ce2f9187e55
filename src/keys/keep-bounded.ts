// Maps that hold no more than so much.

/** Replaces what is kept under `name`; beyond `most` entries the one that came first goes. */
export function keepBounded<T>(kept: Map<string, T>, name: string, value: T, most: number): void {
  kept.delete(name);
  const [oldest] = kept.keys();
  if (kept.size >= most && oldest !== undefined) kept.delete(oldest);
  kept.set(name, value);
}
