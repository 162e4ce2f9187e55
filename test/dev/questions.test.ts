// How dev mode judges an answer: by its bytes, so that a leak is never called a refusal.
import { describe, expect, test } from 'vitest';
import type { Answer, JsonPayload } from '../../src/dev/ask.js';
import { judge, type Material, type Sight } from '../../src/dev/questions.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const payload = (encoding: string, text: string): JsonPayload => ({
  metadata: { encoding: base64(encoding) },
  data: base64(text),
});

const SEALED = [payload('binary/encrypted', 'sealed-1'), payload('binary/encrypted', 'sealed-2')];
const CLEAR = [payload('json/plain', '"the first"'), payload('json/plain', '"the second"')];
const NOTICES = SEALED.map(() => payload('json/plain', '"[keyhole notice] a role is missing"'));
const asked: Material = {
  sealed: SEALED,
  secrets: [
    { label: 'the first one', text: 'the first' },
    { label: 'the second one', text: 'the second' },
  ],
};

function answer(status: number, payloads: readonly JsonPayload[], code?: string, body = ''): Answer {
  return { status, body, payloads, error: code === undefined ? undefined : { code, message: 'no' } };
}

const mixed = [...SEALED.slice(0, 1), ...CLEAR.slice(1)];
const cases: readonly [string, Answer, Sight][] = [
  ['everything in the clear', answer(200, CLEAR), 'plaintext'],
  ['everything unchanged', answer(200, SEALED), 'ciphertext'],
  ['a notice in each place', answer(200, NOTICES), 'notice'],
  ['a refusal for a missing role', answer(403, [], 'role_missing'), 'role_missing'],
  ['a refusal for a missing token', answer(401, [], 'token_missing'), 'token_missing'],
  ['one payload in the clear, one not', answer(200, mixed), 'something else'],
  ['one payload fewer', answer(200, CLEAR.slice(1)), 'something else'],
  ['a notice in one place only', answer(200, [...NOTICES.slice(1), ...SEALED.slice(1)]), 'something else'],
  ['another ciphertext', answer(200, [...SEALED].reverse()), 'something else'],
  ['a refusal of another kind', answer(503, [], 'kms_unavailable'), 'something else'],
  ['a refusal with payloads', answer(403, SEALED, 'role_missing'), 'something else'],
  ['a refusal with plaintext', answer(403, CLEAR, 'role_missing'), 'something else'],
  ['a refusal whose text quotes one', answer(403, [], 'role_missing', 'the second'), 'something else'],
];

describe('an answer', () => {
  test.each(cases)('with %s is judged as that', (_, given, sight) => {
    expect(judge(given, asked)).toBe(sight);
  });
});
