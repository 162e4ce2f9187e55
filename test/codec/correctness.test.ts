// Sealing and deriving against other people's cases, and against ciphertexts that an attacker could make.
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Payload } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { KEYHOLE_V1_AAD } from '../../src/codec/envelope.js';
import { NONCE_BYTES, Nonces } from '../../src/codec/nonces.js';
import { open, seal, TAG_BYTES } from '../../src/codec/seal.js';
import { EncryptionCodec, isKeyholeError } from '../../src/index.js';
import { deriveBoundKey, hkdf } from '../../src/keys/data-key.js';
import type { GeneratedDataKey, WrappingKey } from '../../src/keys/wrapping-key.js';
import { lettingTwoKeysOpen } from './two-key-ciphertext.js';

const nonces = new Nonces();

const WYCHEPROOF = join(
  process.env['KEYHOLE_CORPORA'] ?? resolve(import.meta.dirname, '../../../shared/corpora'),
  'wycheproof',
);

interface Group<T> {
  readonly keySize: number;
  readonly ivSize: number;
  readonly tagSize: number;
  readonly tests: readonly T[];
}

interface SealCase {
  readonly tcId: number;
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: 'valid' | 'invalid';
}

interface HkdfCase {
  readonly tcId: number;
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly size: number;
  readonly okm: string;
  readonly result: 'valid' | 'invalid';
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

function groupsOf<T>(file: string): Group<T>[] {
  return (JSON.parse(readFileSync(join(WYCHEPROOF, file), 'utf8')) as { testGroups: Group<T>[] }).testGroups;
}

describe.skipIf(!existsSync(WYCHEPROOF))(
  `the cases of ${WYCHEPROOF} (KEYHOLE_CORPORA says where it is)`,
  () => {
    test('of AES-GCM with our sizes: each seals to its ciphertext, and only the valid ones open', () => {
      const cases = groupsOf<SealCase>('aes_gcm_test.json')
        .filter(({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128)
        .flatMap(({ tests }) => tests);
      expect(cases.length).toBeGreaterThanOrEqual(66);
      for (const { tcId, key, iv, aad, msg, ct, tag, result } of cases) {
        const [secret, data] = [createSecretKey(hex(key)), hex(iv + ct + tag)];
        const given = new Nonces((drawn) => {
          drawn.set(hex(iv));
        });
        const sealed = Buffer.from(seal(secret, [hex(msg)], hex(aad), given));
        if (result === 'valid') {
          expect([tcId, sealed.toString('hex')]).toEqual([tcId, iv + ct + tag]);
          expect([tcId, Buffer.from(open(secret, data, hex(aad))).toString('hex')]).toEqual([tcId, msg]);
        } else {
          expect(() => open(secret, data, hex(aad)), `case ${tcId}`).toThrow(
            expect.objectContaining({ code: 'not_opened' }),
          );
        }
      }
    });

    test('of HKDF-SHA-512 without a salt: each gives its key', () => {
      const cases = groupsOf<HkdfCase>('hkdf_sha512_test.json').flatMap(({ tests }) => tests);
      const ours = cases.filter(({ salt }) => salt === '');
      expect(ours.length).toBeGreaterThanOrEqual(16);
      for (const { tcId, ikm, info, size, okm, result } of ours) {
        if (result === 'valid') {
          expect([tcId, hkdf(hex(ikm), hex(info), size).toString('hex')]).toEqual([tcId, okm]);
        } else {
          expect(() => hkdf(hex(ikm), hex(info), size), `case ${tcId}`).toThrow();
        }
      }
    });
  },
);

describe('a sealed payload', () => {
  const key = createSecretKey(randomBytes(32));

  function opens(data: Uint8Array): boolean {
    try {
      open(key, data, KEYHOLE_V1_AAD);
      return true;
    } catch (error) {
      if (isKeyholeError(error)) return false;
      throw error;
    }
  }

  test.each([64, 1024, 8192])('of %i bytes opens with none of its bits flipped', (bytes) => {
    const data = Buffer.from(seal(key, [randomBytes(bytes)], KEYHOLE_V1_AAD, nonces));
    let opened = 0;
    for (let bit = 0; bit < data.length * 8; bit++) {
      const [at, mask] = [bit >> 3, 1 << (bit & 7)];
      data[at] = (data[at] ?? 0) ^ mask;
      if (opens(data)) opened += 1;
      data[at] = (data[at] ?? 0) ^ mask;
    }
    expect([opened, opens(data)]).toEqual([0, true]);
  });

  test.each([64, 1024, 8192])('of %i bytes opens neither cut off nor extended, at either end', (bytes) => {
    const data = Buffer.from(seal(key, [randomBytes(bytes)], KEYHOLE_V1_AAD, nonces));
    let opened = 0;
    for (let length = 0; length < data.length; length++) {
      if (opens(data.subarray(0, length)) || opens(data.subarray(data.length - length))) opened += 1;
    }
    for (let more = 1; more <= 64; more++) {
      const extra = more % 2 === 0 ? Buffer.alloc(more) : randomBytes(more);
      if (opens(Buffer.concat([data, extra])) || opens(Buffer.concat([extra, data]))) opened += 1;
    }
    expect([opened, opens(data)]).toEqual([0, true]);
  });

  test.each([4, 8, 12, 13, 14, 15])(
    'with a tag of %i bytes, which Node would accept, does not open',
    (bytes) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: bytes }).setAAD(
        KEYHOLE_V1_AAD,
      );
      const sealed = Buffer.concat([
        nonce,
        cipher.update(randomBytes(64)),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      expect(opens(sealed)).toBe(false);
    },
  );

  test('never has a nonce twice (100,000 of them; `npx tsx bench/nonces.ts` for more)', () => {
    const seen = new Set<string>();
    const plaintext = new Uint8Array(0);
    for (let i = 0; i < 100_000; i++) {
      const sealed = Buffer.from(seal(key, [plaintext], undefined, nonces));
      seen.add(sealed.toString('latin1', 0, NONCE_BYTES));
    }
    expect(seen.size).toBe(100_000);
  });
});

test('a ciphertext that two keys open is refused by the commitment, whichever key it is given with', async () => {
  const namespace = 'orders.a1b2c';
  const dataKeys = [randomBytes(32), randomBytes(32)] as const;
  const derived = dataKeys.map((dataKey) => deriveBoundKey(dataKey, namespace, 'team-key'));
  const [first, second] = derived;
  if (first === undefined || second === undefined) throw new Error('two keys are needed');

  const data = lettingTwoKeysOpen(first.sealingKey, second.sealingKey, KEYHOLE_V1_AAD);
  expect(data.length).toBe(NONCE_BYTES + 16 + TAG_BYTES);
  for (const { sealingKey } of derived) expect(open(sealingKey, data, KEYHOLE_V1_AAD)).toHaveLength(16);

  const codec = new EncryptionCodec({ keys: unwrapping(dataKeys), namespace });
  for (const [wrapped, { commitment }] of [
    [0, second],
    [1, first],
  ] as const) {
    const payload = envelope(namespace, wrapped, commitment ?? new Uint8Array(0), data);
    await expect(codec.decode([payload])).rejects.toThrow(/key commitment does not match/);
  }
});

function envelope(namespace: string, wrapped: number, commitment: Uint8Array, data: Uint8Array): Payload {
  return {
    metadata: {
      encoding: Buffer.from('binary/encrypted'),
      'encryption-format': Buffer.from('keyhole/v1'),
      'encryption-key-id': Buffer.from('team-key'),
      'encryption-namespace': Buffer.from(namespace),
      'encryption-data-key': Buffer.of(wrapped),
      'encryption-commitment': commitment,
    },
    data,
  };
}

/** A key service whose wrapped data keys are their numbers. */
function unwrapping(dataKeys: readonly Uint8Array[]): WrappingKey {
  return {
    provider: 'numbered',
    name: 'team-key',
    holds: (keyId) => (keyId === 'team-key' ? 'yes' : 'no'),
    generateDataKey: () => Promise.reject<GeneratedDataKey>(new Error('not asked')),
    unwrap: ([number = -1]) =>
      Promise.resolve({ keyId: 'team-key', plaintext: Buffer.from(dataKeys[number] ?? []) }),
  };
}
