// A data key of our own making: 32 bytes, and none left where it could not be wrapped.
import { expect, test } from 'vitest';
import { freshDataKey } from '../../../src/keys/providers/fresh-data-key.js';

test('is 32 bytes that are new each time, with what wrapped it', async () => {
  const wrap = (plaintext: Uint8Array) =>
    Promise.resolve({ keyId: 'key', wrapped: new Uint8Array(plaintext) });
  const [first, second] = [await freshDataKey(wrap), await freshDataKey(wrap)];
  expect([first.keyId, first.plaintext.length]).toEqual(['key', 32]);
  expect(first.wrapped).toEqual(new Uint8Array(first.plaintext));
  expect(second.plaintext).not.toEqual(first.plaintext);
});

test('is zeroed where it could not be wrapped, and why is thrown', async () => {
  let seen: Uint8Array = new Uint8Array(0);
  const failure = new Error('the key service is down');
  const made = freshDataKey((plaintext) => {
    seen = plaintext;
    return Promise.reject(failure);
  });
  await expect(made).rejects.toBe(failure);
  expect(new Uint8Array(seen)).toEqual(new Uint8Array(32));
});
