// Which of several patterns of namespaces counts for one, and that it is always one.
import { isNamespace } from './namespace.js';

/** Whether `text` is a namespace, or a pattern with one `*`. */
export function isNamespacePattern(text: string): boolean {
  return text.split('*').length <= 2 && isNamespace(text.replace('*', 'x'));
}

/** A name beats every pattern; among patterns, more literal characters win. */
export function specificity(pattern: string): number {
  return pattern.includes('*') ? pattern.length - 1 : 1_000;
}

/** @throws TypeError for what is no pattern, and for two of which neither is more specific. */
export function assertPatterns(patterns: readonly string[]): void {
  for (const [index, pattern] of patterns.entries()) {
    if (!isNamespacePattern(pattern)) {
      throw new TypeError(`"${pattern}" is neither a namespace nor a pattern with one *`);
    }
    const rivals = patterns.slice(0, index).filter((other) => areRivals(other, pattern));
    if (rivals[0] !== undefined) throw new TypeError(`"${pattern}" and "${rivals[0]}" are equally specific`);
  }
}

/** Whether two patterns are equally specific, and some namespace matches both. */
export function areRivals(a: string, b: string): boolean {
  if (specificity(a) !== specificity(b)) return false;
  if (!a.includes('*') || !b.includes('*')) return a === b;
  const [headA = '', tailA = ''] = a.split('*');
  const [headB = '', tailB = ''] = b.split('*');
  const heads = headA.startsWith(headB) || headB.startsWith(headA);
  return heads && (tailA.endsWith(tailB) || tailB.endsWith(tailA));
}
