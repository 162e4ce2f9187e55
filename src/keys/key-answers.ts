// What key services may answer, and the last use of a data key's own bytes.
import { KeyholeError } from '../errors.js';
import { bareKey, DATA_KEY_BYTES, deriveBoundKey, type DerivedKey } from './data-key.js';
import type { GeneratedDataKey, UnwrappedDataKey, WrappingKey } from './wrapping-key.js';

/** What a payload's metadata can record (docs/format.md, "The payload"). */
const KEY_ID = /^[\x20-\x7e]{1,512}$/;

/** What is made of a data key; its own bytes are zeroed. */
export function derivedAndZeroed(
  plaintext: Uint8Array,
  bound: boolean,
  namespace: string,
  keyId: string,
): DerivedKey {
  const derived = bound ? deriveBoundKey(plaintext, namespace, keyId) : bareKey(plaintext);
  plaintext.fill(0);
  return derived;
}

/** @throws KeyholeError `key_answer_invalid`; then the data key is zeroed. */
export function checkedGenerated(
  answer: GeneratedDataKey,
  key: WrappingKey,
  signal: AbortSignal,
): GeneratedDataKey {
  checkedUnwrapped(answer, key, signal);
  if (!KEY_ID.test(answer.keyId))
    throw badAnswer(answer, key, 'an id of the wrapping key that is not 1 to 512 printable bytes long');
  if (answer.wrapped.length < 1 || answer.wrapped.length > 8192)
    throw badAnswer(answer, key, 'a wrapped data key that is not 1 to 8192 bytes long');
  return answer;
}

/** The same for an unwrapped one. @throws KeyholeError `key_answer_invalid` */
export function checkedUnwrapped<T extends UnwrappedDataKey>(
  answer: T,
  key: WrappingKey,
  signal: AbortSignal,
): T {
  if (answer.plaintext.length !== DATA_KEY_BYTES)
    throw badAnswer(answer, key, `a data key that is not ${DATA_KEY_BYTES} bytes long`);
  if (signal.aborted) throw badAnswer(answer, key, 'too late');
  return answer;
}

/** Nobody will use the data key that came with it. */
function badAnswer({ plaintext }: UnwrappedDataKey, key: WrappingKey, what: string): KeyholeError {
  plaintext.fill(0);
  return new KeyholeError(
    'key_answer_invalid',
    `the key service answered ${what} for ${key.provider} key ${key.name}`,
  );
}
