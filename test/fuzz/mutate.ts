// Small damage to bytes, of the kinds that readers of formats fall over.
import type { Random } from '../access/random.js';

const TELLING = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x0a, 0x0d, 0x20, 0x22, 0x2e, 0x3a, 0x5c, 0x7b, 0x7d];
const MAX_CHANGES = 4;

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T;
}

export function randomBytes(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: random(most + 1) }, () => random(256)));
}

/**
 * One to four changes.
 *
 * @param others - whole inputs whose pieces are put in as well.
 */
export function mutated(bytes: Uint8Array, random: Random, others: readonly Uint8Array[] = []): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let left = random(MAX_CHANGES) + 1; left > 0; left -= 1)
    changed = changedOnce(changed, random, others);
  return changed;
}

function changedOnce(bytes: Buffer, random: Random, others: readonly Uint8Array[]): Buffer {
  const at = random(bytes.length + 1);
  const length = random(Math.min(64, bytes.length - at) + 1);
  const put = (piece: Uint8Array, instead = 0): Buffer =>
    Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + instead)]);
  switch (random(8)) {
    case 0:
      return put(Buffer.from([(bytes[at] ?? 0) ^ (1 << random(8))]), 1);
    case 1:
      return put(Buffer.from([pick(random, TELLING)]), random(2));
    case 2:
      return put(Buffer.alloc(0), length);
    case 3:
      return put(bytes.subarray(at, at + length));
    case 4:
      return put(randomBytes(random, 16), length);
    case 5:
      return bytes.subarray(0, at);
    case 6:
      return put(pieceOf(pick(random, [bytes, ...others]), random), length);
    default:
      return put(Buffer.alloc(random(200), pick(random, TELLING)));
  }
}

function pieceOf(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random(bytes.length + 1);
  return bytes.subarray(at, at + random(Math.min(256, bytes.length - at) + 1));
}

const WORDS = [
  '',
  'a',
  '__proto__',
  'constructor',
  'toString',
  '\u0000',
  '\ud800',
  '*',
  'admin',
  '[',
  '1e999',
];

/** Any value that JSON or a program may hand over, more often one of `likely`. */
export function anyValue(random: Random, likely: readonly unknown[], depth = 3): unknown {
  if (random(2) === 0) return pick(random, likely);
  switch (random(depth > 0 ? 9 : 6)) {
    case 0:
      return pick(random, WORDS);
    case 1:
      return pick(random, [0, -1, 1, 2 ** 31, 2 ** 53, -0, 0.5, Number.NaN, Infinity]);
    case 2:
      return pick(random, [null, undefined, true, false]);
    case 3:
      return 'x'.repeat(random(10_000));
    case 4:
      return randomBytes(random, 40).toString('latin1');
    case 5:
      return randomBytes(random, 40);
    case 6:
      return Array.from({ length: random(4) }, () => anyValue(random, likely, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random(4) }, () => [pick(random, WORDS), anyValue(random, likely, depth - 1)]),
      );
  }
}
