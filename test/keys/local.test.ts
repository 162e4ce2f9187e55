// Local wrapping keys: the first wraps, all unwrap, and only for the namespace a data key was made for.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { LocalWrappingKey, newLocalKeyFile, parseLocalKeys } from '../../src/index.js';
import { payloadsComeBack } from './providers/payloads-come-back.js';
import { parse } from 'yaml';

const signal = new AbortController().signal;
const old = { id: 'old', secret: Buffer.alloc(32, 1) };
const fresh = { id: 'fresh', secret: Buffer.alloc(32, 2) };

describe('a local wrapping key', () => {
  test('wraps with its first key and unwraps with all', async () => {
    const before = await new LocalWrappingKey([old]).generateDataKey({ namespace: 'a', signal });
    const ring = new LocalWrappingKey([fresh, old]);
    expect((await ring.generateDataKey({ namespace: 'a', signal })).keyId).toBe('fresh');
    const { plaintext } = await ring.unwrap(before.wrapped, 'old', { namespace: 'a', signal });
    expect(Buffer.from(plaintext)).toEqual(Buffer.from(before.plaintext));
  });

  test.each([
    ['another namespace', { namespace: 'b', signal }, 'old'],
    ['no namespace', { namespace: null, signal }, 'old'],
    ['another key of the file', { namespace: 'a', signal }, 'fresh'],
  ])('does not unwrap for %s', async (_, context, id) => {
    const ring = new LocalWrappingKey([old, fresh]);
    const { wrapped } = await ring.generateDataKey({ namespace: 'a', signal });
    await expect(ring.unwrap(wrapped, id, context)).rejects.toMatchObject({ code: 'key_wrong_context' });
  });

  test('does not unwrap what was changed in any byte, or cut', async () => {
    const ring = new LocalWrappingKey([old]);
    const { wrapped } = await ring.generateDataKey({ namespace: 'a', signal });
    for (let at = 0; at < wrapped.length; at++) {
      const bad = Buffer.from(wrapped);
      bad[at] = (bad[at] ?? 0) ^ 0x80;
      await expect(ring.unwrap(bad, 'old', { namespace: 'a', signal })).rejects.toMatchObject({
        code: 'key_wrong_context',
      });
      await expect(ring.unwrap(wrapped.subarray(0, at), 'old', { namespace: 'a', signal })).rejects.toThrow();
    }
  });
});

describe('a key file', () => {
  test('that was generated has one key of 32 bytes under the given id, different each time', () => {
    const [a, b] = [newLocalKeyFile('team'), newLocalKeyFile('team')].map(
      (text) => parseLocalKeys(parse(text))[0],
    );
    expect(a?.id).toBe('team');
    expect(a?.secret).toHaveLength(32);
    expect(a?.secret).not.toEqual(b?.secret);
  });

  const secret = Buffer.alloc(32).toString('base64');
  test.each([
    ['nothing', null],
    ['another entry', { keys: [], more: 1 }],
    ['a key without an id', { keys: [{ secret }] }],
    ['an id with a slash', { keys: [{ id: 'a/b', secret }] }],
    ['a secret of 31 bytes', { keys: [{ id: 'a', secret: Buffer.alloc(31).toString('base64') }] }],
    ['a secret in base64url', { keys: [{ id: 'a', secret: Buffer.alloc(32, 255).toString('base64url') }] }],
  ])('with %s is refused', (_, content) => {
    expect(() => parseLocalKeys(content)).toThrow(TypeError);
  });

  test.each([
    ['no key', []],
    ['an id twice', [old, old]],
  ])('with %s makes no wrapping key', (_, keys) => {
    expect(() => new LocalWrappingKey(keys)).toThrow(TypeError);
  });
});

describe('under a local wrapping key', () => {
  const key = new LocalWrappingKey([{ id: 'one', secret: randomBytes(32) }]);
  payloadsComeBack(() => Promise.resolve({ key }));
});
