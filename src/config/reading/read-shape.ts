// Reads a mapping key by key, so that what is wrong with one hides nothing of the others.
import type { z } from 'zod';
import { pathTo, stepOf, type Problems } from './problems.js';
import { unknownKey } from './forms.js';
import type { Shape } from './schema.js';

/** What could be read: `undefined` where a value is absent or wrong. */
export type ReadShape<S extends Shape> = { readonly [K in keyof S]: z.output<S[K]> | undefined };

export function readShape<S extends Shape>(
  shape: S,
  value: unknown,
  path: string,
  problems: Problems,
): ReadShape<S> {
  const known = Object.keys(shape);
  const given = isMapping(value) ? value : {};
  if (!isMapping(value)) problems.add(path, `must be a mapping with ${known.join(', ')}`);
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) problems.add(pathTo(path, key), unknownKeySentence(key, known));
  }
  const read = known.map((key) => {
    const schema = shape[key];
    const mine = Object.hasOwn(given, key) ? given[key] : undefined;
    return [key, schema === undefined ? undefined : readValue(schema, mine, pathTo(path, key), problems)];
  });
  return Object.fromEntries(read) as ReadShape<S>;
}

export function readValue<T extends z.ZodType>(
  schema: T,
  value: unknown,
  path: string,
  problems: Problems,
): z.output<T> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const at = pathWithin(value, issue.path, path);
    if (issue.code !== 'unrecognized_keys') problems.add(at, issue.message);
    else for (const key of issue.keys) problems.add(pathTo(at, key), secretSentence(key) ?? issue.message);
  }
  return undefined;
}

function pathWithin(value: unknown, steps: readonly PropertyKey[], path: string): string {
  let inside = value;
  let to = path;
  for (const step of steps) {
    const key = typeof step === 'number' ? step : String(step);
    to = pathTo(to, typeof key === 'string' && isMapping(inside) ? stepOf(inside, key) : key);
    inside = typeof inside === 'object' && inside !== null ? Reflect.get(inside, step) : undefined;
  }
  return to;
}

function unknownKeySentence(key: string, known: readonly string[]): string {
  return secretSentence(key) ?? unknownKey(known);
}

/** Names under which people write a secret into the file itself. */
function secretSentence(key: string): string | undefined {
  if (!/secret$|password|token$|api_?key$/i.test(key)) return undefined;
  return 'a secret is never written into this file: give it by a variable, or by the path of a file';
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
