// YAML as configuration and key files use it: one document of plain values, nothing that refers or runs.
import { isAlias, LineCounter, parseDocument, visit, type Document } from 'yaml';

export interface YamlMistake {
  readonly line: number;
  readonly column: number;
  readonly sentence: string;
}

export type YamlResult = { readonly value: unknown } | { readonly mistakes: readonly YamlMistake[] };

const MAX_MISTAKES = 20;

/**
 * YAML 1.2, core schema. Refused: a key that is there twice or is no text, aliases, anchors, tags, a second document.
 * A mistake never quotes the text.
 */
export function parseYaml(text: string): YamlResult {
  const lines = new LineCounter();
  const at = (offset: number, sentence: string): YamlMistake => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1), sentence };
  };
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      logLevel: 'error',
      prettyErrors: false,
      stringKeys: true,
    });
    const errors = document.errors.map(({ code, pos }) => ({ offset: pos[0], sentence: sentenceOf(code) }));
    const found = [...references(document), ...errors].sort((a, b) => a.offset - b.offset);
    if (found.length === 0) return { value: document.toJS({ maxAliasCount: 0 }) as unknown };
    const first = found.filter(({ offset }, index) => found[index - 1]?.offset !== offset);
    return { mistakes: first.slice(0, MAX_MISTAKES).map(({ offset, sentence }) => at(offset, sentence)) };
  } catch {
    return { mistakes: [at(0, 'is not YAML that can be read: nested too deeply')] };
  }
}

/** What could make a small file a large value, or a value of a type nobody expects. */
function references(document: Document): { offset: number; sentence: string }[] {
  const found: { offset: number; sentence: string }[] = [];
  const note = (offset: number | undefined, sentence: string): void => {
    found.push({ offset: offset ?? 0, sentence });
  };
  visit(document, {
    Alias: (_, node) => {
      note(node.range?.[0], 'aliases are not taken; put text that begins with * into quotes');
    },
    Node: (_, node) => {
      const offset = node.range?.[0];
      if (!isAlias(node) && node.anchor !== undefined) {
        note(offset, 'anchors are not taken; put text that begins with & into quotes');
      }
      if (node.tag !== undefined) note(offset, 'tags are not taken');
    },
  });
  return found;
}

/** In our words: the parser's may quote the text. */
function sentenceOf(code: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'a key is there twice';
    case 'NON_STRING_KEY':
      return 'a key must be text';
    case 'MULTIPLE_DOCS':
      return 'one document is expected, without a second "---"';
    case 'TAB_AS_INDENT':
      return 'indent with spaces, not with tabs';
    case 'BAD_INDENT':
      return 'the indentation does not fit, or a bracket is not closed';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a value here holds a key: the line after it is indented too far, or text with ": " lacks its quotes';
    case 'MISSING_CHAR':
      return 'a quote, bracket or comma is missing';
    case 'BAD_ALIAS':
      return 'put text that begins with * or & into quotes';
    default:
      return 'is not YAML';
  }
}
