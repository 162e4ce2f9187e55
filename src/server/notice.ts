// The sentence that stands in the place of a payload that somebody may not see.
import type { Payload } from '@temporalio/common';

const MARK = '[keyhole notice]';
const JSON_PLAIN = Buffer.from('json/plain');
const QUOTE = 0x22;
/** The mark's characters, each as itself or as `\uXXXX`. */
const BEGINS_WITH_MARK = new RegExp(`^${Array.from(MARK, charPattern).join('')}`);
const LONGEST_MARK_CHARS = MARK.length * 6;

/** A payload that a Web UI shows as the sentence. */
export function noticePayload(sentence: string): Payload {
  return {
    metadata: { encoding: JSON_PLAIN },
    data: Buffer.from(JSON.stringify(`${MARK} ${sentence}`)),
  };
}

/** Whether a payload's whole value is a JSON string that begins as a notice does: a form that was filled from one. */
export function isNotice({ data }: Payload): boolean {
  if (data === null || data === undefined) return false;
  let at = 0;
  while (data[at] === 0x20 || data[at] === 0x0a || data[at] === 0x0d || data[at] === 0x09) at += 1;
  if (data[at] !== QUOTE) return false;
  const start = Buffer.from(data.subarray(at + 1, at + 1 + LONGEST_MARK_CHARS)).toString('latin1');
  return BEGINS_WITH_MARK.test(start);
}

function charPattern(char: string): string {
  const hex = Array.from(char.charCodeAt(0).toString(16), (digit) => `[${digit}${digit.toUpperCase()}]`);
  return `(?:${char.replace(/[[\]]/, '\\$&')}|\\\\u00${hex.join('')})`;
}
