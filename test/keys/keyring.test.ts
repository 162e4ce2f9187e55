// Which entry of the keyring a namespace gets, and which keyrings cannot be made.
import { describe, expect, test } from 'vitest';
import { awsKms, Keyring, type KeyringEntry } from '../../src/index.js';
import { FakeWrappingKey } from '../../src/testing.js';

const entry = (namespaces: string[], rest: Partial<KeyringEntry> = {}): KeyringEntry => ({
  namespaces,
  wrap: () => new FakeWrappingKey(namespaces.join()),
  sharesKey: true,
  ...rest,
});

describe('the keyring', () => {
  const keyring = new Keyring([
    entry(['*']),
    entry(['orders.*']),
    entry(['*.a1b2c']),
    entry(['orders.a1*']),
    entry(['orders.z9', 'x']),
  ]);

  test.each([
    ['orders.z9', 'orders.z9,x'],
    ['orders.z9x', 'orders.*'],
    ['orders.a1b2c', 'orders.a1*'],
    ['billing.a1b2c', '*.a1b2c'],
    ['billing', '*'],
  ])('gives %s the most specific entry, %s', (namespace, expected) => {
    expect(keyring.forNamespace(namespace).wrap.name).toBe(expected);
  });

  test('resolves a namespace once', () => {
    expect(keyring.forNamespace('orders.z9').wrap).toBe(keyring.forNamespace('orders.z9').wrap);
  });

  test.each(['', 'a b', '../x', 'ä', '-x', 'x'.repeat(256)])(
    'refuses %j, which is not a namespace',
    (namespace) => {
      expect(() => keyring.forNamespace(namespace)).toThrow(
        expect.objectContaining({ code: 'namespace_invalid' }),
      );
    },
  );

  test('has no key for a namespace that nothing matches', () => {
    expect(() => new Keyring([entry(['orders.*'])]).forNamespace('billing')).toThrow(
      expect.objectContaining({ code: 'key_not_configured' }),
    );
  });

  test.each([
    ['the same name twice', [entry(['a']), entry(['a'])]],
    ['two patterns of the same length that overlap', [entry(['a*']), entry(['*a'])]],
    ['a pattern with two stars', [entry(['a*b*'])]],
    ['what is no namespace', [entry(['a/b'])]],
    ['an unbound format under one key for a pattern', [entry(['*'], { reads: ['encryption-jwt'] })]],
    ['an unbound format under one key for two names', [entry(['a', 'b'], { write: 'encryption-jwt' })]],
  ])('cannot be made with %s', (_, entries) => {
    expect(() => new Keyring(entries)).toThrow(TypeError);
  });

  test('counts a key as shared where its record of them is full, and keeps no more of them', () => {
    const full = new Keyring([entry(['*'])]);
    for (let key = 0; key < 10_000; key++) full.noteUse(`key-${key}`, 'a');
    full.noteUse('one-more', 'a');
    expect(() => {
      full.assertServesOnly('key-9999', 'a');
    }).not.toThrow();
    expect(() => {
      full.assertServesOnly('one-more', 'a');
    }).toThrow(expect.objectContaining({ code: 'format_not_enabled' }));
  });

  test('can be made with an unbound format where each namespace has its own key', () => {
    const own = new Keyring([entry(['*'], { reads: ['encryption-jwt'], sharesKey: false })]);
    expect(own.forNamespace('a').reads.has('encryption-jwt')).toBe(true);
  });
});

describe('a template of a key’s name', () => {
  const client = {
    generateDataKey: () => Promise.reject(new Error('unused')),
    decrypt: () => Promise.reject(new Error('unused')),
  };

  test('has the namespace with "_" for each "."', () => {
    expect(awsKms({ client })('orders.eu.a1b2c').name).toBe('alias/orders_eu_a1b2c');
  });

  test('refuses a namespace with "_", which would share the key of another', () => {
    expect(() => awsKms({ client })('orders_eu.a1b2c')).toThrow(
      expect.objectContaining({ code: 'key_not_configured' }),
    );
  });
});
