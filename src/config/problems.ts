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

/** Names as ours are, and as e-mail addresses are; whatever else stands in place of a key may be a secret. */
const NAME = /^([A-Za-z_-]{1,32}|sha256)$/;
const EMAIL = /^[\w.+-]{1,64}@[\w.-]{1,64}$/;

/** `path` with one more step. */
export function pathTo(path: string, step: string | number): string {
  if (typeof step === 'number') return `${path}[${step}]`;
  if (EMAIL.test(step)) return `${path}["${step}"]`;
  if (!NAME.test(step)) return `${path}["…"]`;
  return path === '' ? step : `${path}.${step}`;
}
