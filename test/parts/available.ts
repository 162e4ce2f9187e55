// Whether a real part is on this machine, and what a test does where it is not: skip with a line, or fail in CI.
import { existsSync } from 'node:fs';
import { describe, test, type TestContext } from 'vitest';
import { pathOf, type PartName } from './catalogue.js';

/** Where the program of each part is. */
export type PartPaths<Name extends PartName> = Readonly<Record<Name, string>>;

/** The path of a part's program, or undefined where the part is missing. */
export function part(name: PartName): string | undefined {
  const path = pathOf(name);
  return existsSync(path) ? path : undefined;
}

/**
 * For a test that needs parts: answers where they are, or ends the test as skipped, saying what to install.
 *
 * @throws Error in CI, where a missing part is a failure.
 */
export function requirePart<Name extends PartName>(context: TestContext, ...names: Name[]): PartPaths<Name> {
  const sentence = whatIsMissing(names);
  if (sentence === undefined) return pathsOf(names);
  if (inCi()) throw new Error(sentence);
  return context.skip(sentence);
}

/** A `describe` whose tests need parts; without them it is skipped with one printed line, and fails in CI. */
export function describeWithParts<Name extends PartName>(
  names: readonly Name[],
  title: string,
  tests: (paths: PartPaths<Name>) => void,
): void {
  const sentence = whatIsMissing(names);
  const body = () => {
    tests(pathsOf(names));
  };
  if (sentence === undefined) {
    describe(title, body);
  } else if (inCi()) {
    describe(title, () => {
      test('has the parts it needs', () => {
        throw new Error(sentence);
      });
    });
  } else {
    process.stderr.write(`skipped: “${title}”: ${sentence}\n`);
    describe.skip(title, body);
  }
}

function whatIsMissing(names: readonly PartName[]): string | undefined {
  const missing = names.filter((name) => part(name) === undefined);
  if (missing.length === 0) return undefined;
  return `needs ${missing.join(' and ')}: npm run parts -- ${missing.join(' ')}`;
}

function pathsOf<Name extends PartName>(names: readonly Name[]): PartPaths<Name> {
  return Object.fromEntries(names.map((name) => [name, pathOf(name)])) as PartPaths<Name>;
}

/** As CI services set it. */
function inCi(): boolean {
  const ci = process.env['CI'];
  return ci !== undefined && ci !== '' && ci !== 'false' && ci !== '0';
}
