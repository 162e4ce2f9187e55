// The rules of the house that can be read off its source: who imports whom, and where the world comes in.
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { isRoom, ROOMS } from './rooms.js';
import {
  functionLines,
  importedPath,
  packageOf,
  roomOf,
  sourceFiles,
  type SourceFile,
} from './source-files.js';

const files = sourceFiles();

/** Every import of one of our own files. */
const edges = files.flatMap((file) =>
  file.imports.flatMap((specifier) => {
    const to = importedPath(file, specifier);
    return to === undefined ? [] : [{ from: file.path, to }];
  }),
);

/** Every import of a package. */
const packages = files.flatMap(({ path, imports }) =>
  imports.flatMap((specifier) => {
    const name = packageOf(specifier);
    return name === undefined ? [] : [{ path, name }];
  }),
);

describe('the source', () => {
  test('is read: its rooms, its own imports and the packages it uses are found', () => {
    expect(new Set(files.map(({ path }) => roomOf(path)))).toEqual(new Set(Object.keys(ROOMS)));
    expect(edges).toContainEqual({ from: 'codec/plugin.ts', to: 'codec/encryption-codec.js' });
    expect(packages).toContainEqual({ path: 'dev/certificates.ts', name: '@peculiar/x509' });
  });

  test('imports from room to room only as the table allows', () => {
    const refused = edges.filter(({ from, to }) => !mayImport(roomOf(from), roomOf(to)));
    expect(refused).toEqual([]);
  });

  test('never imports the library’s own entry', () => {
    expect(edges.filter(({ to }) => to === 'index.js')).toEqual([]);
  });

  test('is what CONTRIBUTING.md shows: every file and folder of its map is there', () => {
    const text = readFileSync(new URL('../../CONTRIBUTING.md', import.meta.url), 'utf8');
    const [, map = ''] = /^```\n(src\/.*?)^```$/ms.exec(text) ?? [];
    const names = [...map.matchAll(/[\w-]+(?:\.ts|\/(?=\s))/g)].map(([name]) => name);
    const lost = names.filter((name) => !files.some(({ path }) => `/src/${path}`.includes(`/${name}`)));
    expect({ lost, found: names.length > 40 }).toEqual({ lost: [], found: true });
  });

  test('says on line 1 of each file what it is for, in one sentence', () => {
    const silent = files.filter(({ text }) => !/^(#!.*\n)?\/\/ \S.*\.\n/.test(text));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test('reads the environment only in config and cli', () => {
    expect(outside(['config', 'cli'], ({ text }) => text.includes('process.env'))).toEqual([]);
  });

  test('loads a cloud SDK only in config/open-wrapping-key.ts', () => {
    const cloud = packages.filter(({ name }) => /^@(aws-sdk|azure|google-cloud)\//.test(name));
    expect(new Set(cloud.map(({ path }) => path))).toEqual(new Set(['config/open-wrapping-key.ts']));
  });

  test('uses only packages that package.json names for those who install it', () => {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { dependencies, peerDependencies } = JSON.parse(manifest) as Record<string, Record<string, string>>;
    const named = new Set(Object.keys({ ...dependencies, ...peerDependencies }));
    expect(packages.filter(({ name }) => !named.has(name))).toEqual([]);
  });
});

afterAll(() => {
  const lines = files.map(({ text }) => text.split('\n').length - 1);
  const ofFunctions = files.flatMap(functionLines);
  process.stdout.write(
    `the house: ${files.length} files, median ${median(lines)} lines; ` +
      `${ofFunctions.length} functions, median ${median(ofFunctions)} lines\n`,
  );
});

function mayImport(from: string, to: string): boolean {
  if (!isRoom(from)) return false;
  return from === to || (ROOMS[from] as readonly string[]).includes(to);
}

function outside(rooms: readonly string[], does: (file: SourceFile) => boolean): string[] {
  return files.filter((file) => does(file) && !rooms.includes(roomOf(file.path))).map(({ path }) => path);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
