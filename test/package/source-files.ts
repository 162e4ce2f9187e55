// The files of `src/`, and what of them can be read without running them.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));

export interface SourceFile {
  /** Relative to `src/`. */
  readonly path: string;
  readonly text: string;
  /** What it imports, exports from or requires, types and dynamic imports included, as written. */
  readonly imports: readonly string[];
}

export function sourceFiles(): SourceFile[] {
  const entries = readdirSync(SOURCE, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.c?[jt]s$/.test(entry.name))
    .map((entry) => relative(SOURCE, join(entry.parentPath, entry.name)))
    .sort()
    .map((path) => {
      const text = readFileSync(join(SOURCE, path), 'utf8');
      const imports = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
      return { path, text, imports };
    });
}

/** The room a path relative to `src/` is in. */
export function roomOf(path: string): string {
  return /^[^/.]+/.exec(path)?.[0] ?? '';
}

/** A relative import as a path relative to `src/`; undefined for a package. */
export function importedPath({ path }: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return relative(SOURCE, resolve(SOURCE, dirname(path), specifier));
}

/** `@scope/name/deep/file` is of the package `@scope/name`; undefined for Node's own modules and relative paths. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  const [first = '', second = ''] = specifier.split('/');
  return first.startsWith('@') ? `${first}/${second}` : first;
}

/** Lines of each function, method and accessor with a body. */
export function functionLines({ path, text }: SourceFile): number[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lines: number[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const lineAt = (position: number): number => file.getLineAndCharacterOfPosition(position).line;
      lines.push(lineAt(node.getEnd()) - lineAt(node.getStart()) + 1);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lines;
}
