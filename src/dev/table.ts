// Aligned columns for a terminal, the last one wrapped to what room is left.

export interface TableOptions {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Characters a line may have; the last column wraps. */
  readonly width: number;
  /** Two spaces on the left by default. */
  readonly indent?: string;
}

const GAP = '  ';
const MIN_LAST_COLUMN = 24;

/** The lines of the header, then of each row, without colours. */
export function linesOf({ header, rows, width, indent = '  ' }: TableOptions): {
  readonly header: string;
  readonly rows: readonly (readonly string[])[];
} {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const left = indent.length + widths.slice(0, -1).reduce((sum, one) => sum + one + GAP.length, 0);
  const room = Math.max(MIN_LAST_COLUMN, width - left);
  const line = (cells: readonly string[]) =>
    (indent + cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(GAP)).trimEnd();
  const rowLines = rows.map((row) => {
    const [first = '', ...more] = wrap(row.at(-1) ?? '', room);
    return [line([...row.slice(0, -1), first]), ...more.map((text) => ' '.repeat(left) + text)];
  });
  return { header: line(header), rows: rowLines };
}

/** Breaks a text at spaces into lines of at most `width` characters (a longer word stays whole). */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
