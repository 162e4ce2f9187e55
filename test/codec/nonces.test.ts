// Nonces are drawn many at a time, and each is given out once.
import { randomFillSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { NONCE_BYTES, Nonces } from '../../src/codec/nonces.js';

function taken(nonces: Nonces): string {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonces.fill(nonce);
  return nonce.toString('hex');
}

test('every byte that is drawn becomes part of one nonce, in its order, before more is drawn', () => {
  const drawn: string[] = [];
  const nonces = new Nonces((bytes) => {
    drawn.push(Buffer.from(randomFillSync(bytes)).toString('hex'));
  });
  let given = '';
  for (let i = 0; i < 1_000; i++) given += taken(nonces);
  expect(drawn.join('').startsWith(given)).toBe(true);
  expect(drawn.length).toBe(Math.ceil(given.length / (drawn[0]?.length ?? 0)));
});

test('a nonce that was given out is overwritten where it was kept', () => {
  let kept: Uint8Array = Buffer.of();
  const nonces = new Nonces((bytes) => {
    kept = bytes.fill(1);
  });
  for (let i = 1; i <= 3; i++) {
    expect(taken(nonces)).toBe('01'.repeat(NONCE_BYTES));
    expect(kept.indexOf(1)).toBe(i * NONCE_BYTES);
  }
});

test('a generator that fails gives no nonce, then or later', () => {
  const nonces = new Nonces(() => {
    throw new Error('no entropy');
  });
  for (let i = 0; i < 3; i++) expect(() => taken(nonces)).toThrow('no entropy');
});
