// Text that somebody else chose, as a terminal may show it.

/** What others chose must not move a terminal's cursor, or turn its text around. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
