// The questions that dev mode asks its own codec server, and the answers that they must get.
import { metadataOf, textOf, type Answer, type JsonPayload } from './ask.js';
import { ALICE, BILLING, ORDERS, RITA, SAM } from './people.js';
import type { Secret } from './temporal/samples.js';

/** What an answer lets somebody see; else the code of the refusal. */
export type Sight =
  'plaintext' | 'notice' | 'ciphertext' | 'role_missing' | 'token_missing' | 'something else';

export interface Question {
  /** E-mail, or `undefined` for somebody without a token. */
  readonly who: string | undefined;
  /** The role in that namespace, in a word. */
  readonly role: string;
  /** The namespace the request names. */
  readonly namespace: string;
  /** The namespace its payloads are bound to. */
  readonly boundTo: string;
  /** A program without an `Origin`, or a page of the Web UI. */
  readonly from: 'a script' | 'the Web UI';
  readonly status: number;
  readonly sight: Sight;
}

type Short = readonly [
  who: string | undefined,
  role: string,
  namespace: string,
  from: Question['from'],
  status: number,
  sight: Sight,
  boundTo?: string,
];

const QUESTIONS: readonly Short[] = [
  [ALICE.email, 'admin', ORDERS, 'a script', 200, 'plaintext'],
  [ALICE.email, 'admin', ORDERS, 'the Web UI', 200, 'plaintext'],
  [ALICE.email, 'write', BILLING, 'a script', 403, 'role_missing'],
  [ALICE.email, 'admin', ORDERS, 'a script', 403, 'role_missing', BILLING],
  [RITA.email, 'read', ORDERS, 'a script', 403, 'role_missing'],
  [RITA.email, 'read', ORDERS, 'the Web UI', 200, 'notice'],
  [RITA.email, 'read', BILLING, 'a script', 403, 'role_missing'],
  [SAM.email, 'none', ORDERS, 'a script', 403, 'role_missing'],
  [SAM.email, 'none', ORDERS, 'the Web UI', 200, 'notice'],
  [undefined, 'none', ORDERS, 'a script', 401, 'token_missing'],
  [undefined, 'none', ORDERS, 'the Web UI', 200, 'notice'],
];

/** Every question, in the order of the table. */
export function questions(): Question[] {
  return QUESTIONS.map(([who, role, namespace, from, status, sight, boundTo = namespace]) => {
    return { who, role, namespace, boundTo, from, status, sight };
  });
}

/** The payloads of a namespace that are asked for, and what is in them. */
export interface Material {
  readonly sealed: readonly JsonPayload[];
  readonly secrets: readonly Secret[];
}

/** What an answer shows, judged by its bytes, whatever its status says. */
export function judge(answer: Answer, asked: Material): Sight {
  const opened = answer.payloads.map(textOf);
  const seen = asked.secrets.filter(
    ({ text }) => answer.body.includes(text) || opened.some((one) => one.includes(text)),
  );
  const isComplete = answer.payloads.length === asked.sealed.length;
  if (seen.length > 0) {
    const allOpen = answer.payloads.every(
      (payload) => metadataOf(payload, 'encoding') !== 'binary/encrypted',
    );
    const all = answer.status === 200 && isComplete && allOpen && seen.length === asked.secrets.length;
    return all ? 'plaintext' : 'something else';
  }
  if (answer.status !== 200) {
    const code = answer.error?.code;
    const isRefusal = code === 'role_missing' || code === 'token_missing';
    return isRefusal && answer.payloads.length === 0 ? code : 'something else';
  }
  if (!isComplete) return 'something else';
  if (opened.every(isNotice)) return 'notice';
  return answer.payloads.every((payload, index) => payload.data === asked.sealed[index]?.data)
    ? 'ciphertext'
    : 'something else';
}

/** What stands in place of a payload that somebody may not read (`docs/errors.md`). */
export function isNotice(text: string): boolean {
  return text.startsWith('"[keyhole notice]');
}

/** What they saw, for the table. */
export function tell(answer: Answer, asked: Material): string {
  const sight = judge(answer, asked);
  if (sight === 'plaintext') return asked.secrets.map(({ label }) => label).join(', ');
  if (sight === 'notice') return `notice: ${noticeOf(answer)}`;
  if (sight === 'ciphertext') return 'ciphertext';
  if (answer.error !== undefined) return `nothing: ${answer.error.code}`;
  return 'something else';
}

function noticeOf(answer: Answer): string {
  const text = answer.payloads.map(textOf).find(isNotice) ?? '""';
  return (JSON.parse(text) as string).replace('[keyhole notice]', '').trim();
}
