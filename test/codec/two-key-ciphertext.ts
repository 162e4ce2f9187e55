// Builds one AES-GCM ciphertext that opens under two keys (Dodis, Grubbs, Ristenpart, Woodage: "Fast Message Franking").
import { createCipheriv, randomBytes, type KeyObject } from 'node:crypto';

const BLOCK_BYTES = 16;
/** x^128 + x^7 + x^2 + x + 1 (NIST SP 800-38D §6.3), bits in GCM's order. */
const R = 0xe1n << 120n;

/**
 * nonce (12) ‖ ciphertext (16) ‖ tag (16). Under either key GHASH is a polynomial in that key's H; the one block of
 * ciphertext is chosen so that both give the same tag.
 */
export function lettingTwoKeysOpen(a: KeyObject, b: KeyObject, associatedData: Uint8Array): Buffer {
  if (associatedData.length > BLOCK_BYTES) throw new RangeError('built for one block of associated data');
  const nonce = randomBytes(12);
  const firstCounter = Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])]);
  const [hA, hB] = [block(a, Buffer.alloc(BLOCK_BYTES)), block(b, Buffer.alloc(BLOCK_BYTES))];
  const [maskA, maskB] = [block(a, firstCounter), block(b, firstCounter)];
  const aad = numberOf(Buffer.concat([associatedData, Buffer.alloc(BLOCK_BYTES - associatedData.length)]));
  const lengths = (BigInt(associatedData.length * 8) << 64n) | BigInt(BLOCK_BYTES * 8);

  const [a2, b2] = [times(hA, hA), times(hB, hB)];
  const known = times(aad, times(a2, hA) ^ times(b2, hB)) ^ times(lengths, hA ^ hB) ^ maskA ^ maskB;
  const ciphertext = times(known, inverse(a2 ^ b2));
  const tag = times(aad, times(a2, hA)) ^ times(ciphertext, a2) ^ times(lengths, hA) ^ maskA;
  return Buffer.concat([nonce, bytesOf(ciphertext), bytesOf(tag)]);
}

function block(key: KeyObject, bytes: Uint8Array): bigint {
  return numberOf(createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(bytes));
}

/** Product in GF(2^128), NIST SP 800-38D algorithm 1. */
function times(x: bigint, y: bigint): bigint {
  let [product, v] = [0n, y];
  for (let bit = 127n; bit >= 0n; bit--) {
    if (((x >> bit) & 1n) === 1n) product ^= v;
    v = (v & 1n) === 1n ? (v >> 1n) ^ R : v >> 1n;
  }
  return product;
}

/** x^(2^128 - 2): 127 squarings, each but the first multiplied in. */
function inverse(x: bigint): bigint {
  let [power, product] = [x, 1n << 127n];
  for (let i = 0; i < 127; i++) {
    power = times(power, power);
    product = times(product, power);
  }
  return product;
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function bytesOf(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(2 * BLOCK_BYTES, '0'), 'hex');
}
