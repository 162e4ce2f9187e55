// docs/configuration.md names every key, limit and variable there is, with its right default.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { VARIABLES } from '../../src/config/environment.js';
import {
  ACCESS,
  AUDIT,
  CREDENTIAL,
  FILE,
  ISSUER,
  KEYS_ENTRY,
  PRESET_ISSUER,
  ROLES,
  RULE,
  SIGN_IN,
  type Shape,
} from '../../src/config/reading/schema.js';
import { LIMIT_BOUNDS } from '../../src/server/limits.js';

const DOCUMENT = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');

/** Cells of the rows of all tables, by what their first cell names. */
const ROWS = new Map(
  DOCUMENT.split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => {
      const [first = '', ...cells] = line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim());
      return [...first.matchAll(/`([^`]+)`/g)].map(([, name]) => [name ?? '', cells] as const);
    }),
);

const SHAPES: readonly (readonly [prefix: string, shape: Shape])[] = [
  ['', FILE],
  ['keys[].', KEYS_ENTRY],
  ['audit.', AUDIT],
  ['access.', ACCESS],
  ['access.issuers[].', ISSUER],
  ['access.issuers[].', PRESET_ISSUER],
  ['access.signIn.', SIGN_IN],
  ['access.roles.', ROLES],
  ['access.rules[].', RULE],
  ['access.credentials[].', CREDENTIAL],
];

/** Every key that a file may have, sections by what is in them, with its default where that is one value. */
const KEYS = SHAPES.flatMap(([prefix, shape]) =>
  Object.entries(shape).flatMap(([key, schema]) => leaves(`${prefix}${key}`, schema)),
).filter(({ name }) => !['keys', 'access', 'audit'].includes(name));

interface Leaf {
  readonly name: string;
  readonly fallback: unknown;
}

function leaves(name: string, schema: z.ZodType): Leaf[] {
  const bare = bareOf(schema);
  if (bare instanceof z.ZodObject) {
    return Object.entries(bare.shape as Shape).flatMap(([key, inner]) => leaves(`${name}.${key}`, inner));
  }
  return [{ name, fallback: fallbackOf(schema) }];
}

function bareOf(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return bareOf(schema.unwrap() as z.ZodType);
  }
  return schema;
}

/** As it is written. */
function fallbackOf(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault) return schema.def.defaultValue;
  return undefined;
}

test('the keys are found in the schema', () => {
  expect(KEYS.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'listen',
      'tls.key',
      'metrics.listen',
      'keys[].reads',
      'access.issuers[].claims.email',
    ]),
  );
});

test.each(KEYS)('$name stands in the document with its default', ({ name, fallback }) => {
  const row = ROWS.get(name);
  expect(row, `no row for ${name}`).toBeDefined();
  if (['string', 'number', 'boolean'].includes(typeof fallback)) {
    expect(row?.map((cell) => cell.replaceAll('`', ''))).toContain(String(fallback));
  }
});

test.each(Object.entries(LIMIT_BOUNDS))('limits.%s stands with default and bounds', (name, bounds) => {
  const { default: value, least, most } = bounds;
  expect(ROWS.get(`limits.${name}`)?.slice(1)).toEqual([value, least, most].map(String));
});

test.each(Object.keys(VARIABLES))('%s stands in the document', (name) => {
  expect(ROWS.has(name)).toBe(true);
});

test('no row names a key that there is not', () => {
  const known = new Set([
    ...KEYS.map(({ name }) => name),
    ...Object.keys(LIMIT_BOUNDS).map((name) => `limits.${name}`),
  ]);
  const named = [...ROWS.keys()].filter((name) =>
    /^(listen|publicUrl|tls|cors|denied|metrics|limits|keys\[|access|audit\.)/.test(name),
  );
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});
