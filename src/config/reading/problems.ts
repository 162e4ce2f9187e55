// What is wrong with a configuration: where, and in one sentence.

export interface Problem {
  /** `keys[0].wrap.provider`, the name of a variable, or `FILE:LINE:COLUMN`. */
  readonly path: string;
  /** Lower case, without a full stop; says what is expected, never what was found: it may be a secret. */
  readonly sentence: string;
}

/** Collects problems, so that all of them are told at once. */
export class Problems {
  readonly #all: Problem[] = [];

  get all(): readonly Problem[] {
    return this.#all;
  }

  add(path: string, sentence: string): void {
    this.#all.push({ path, sentence });
  }

  /** Whether something is wrong at `path` or below. */
  at(path: string): boolean {
    return this.#all.some(
      (problem) => problem.path.startsWith(path) && /^($|[.[])/.test(problem.path.slice(path.length)),
    );
  }
}

export function problemLine({ path, sentence }: Problem): string {
  return `${path}: ${sentence}`;
}

/** Names as ours are; whatever else stands in place of a key may be a secret, and is told by its place. */
const NAME = /^([A-Za-z_-]{1,32}|sha256)$/;

/** `path` with one more step. */
export function pathTo(path: string, step: string | number): string {
  if (typeof step === 'number') return `${path}[${step}]`;
  if (!NAME.test(step)) return `${path}["…"]`;
  return path === '' ? step : `${path}.${step}`;
}

/** A key of a mapping as a step of a path: its name, or where it stands among the keys, from 0. */
export function stepOf(mapping: object, key: string): string | number {
  return NAME.test(key) ? key : Object.keys(mapping).indexOf(key);
}
