// What may stand once in a list: told by the place of the first.
import type { Problems } from '../reading/problems.js';

export function once(
  seen: Map<string, string>,
  name: string | undefined,
  path: string,
  problems: Problems,
): void {
  const first = name === undefined ? undefined : seen.get(name);
  if (first !== undefined) problems.add(path, `is the same as ${first}`);
  else if (name !== undefined) seen.set(name, path);
}
