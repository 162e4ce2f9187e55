// Names, and patterns with one `*`, as configuration uses them for namespaces and subjects.

/** Whether `text` is `pattern`, or fits it where the pattern has a `*`, which stands for any text, also none. */
export function matchesPattern(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star === -1) return pattern === text;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return text.length >= head.length + tail.length && text.startsWith(head) && text.endsWith(tail);
}

/** Whether a pattern can be used: not empty, at most one `*`. */
export function isPattern(pattern: string): boolean {
  return pattern !== '' && pattern.split('*').length <= 2;
}
