// Protobuf's wire format, read from bytes that anybody may have made (protobuf.dev/programming-guides/encoding).
import { isAscii } from 'node:buffer';
import { KeyholeError } from '../errors.js';

/** The key that nearly every payload has: making its text anew costs more. */
const ENCODING = Buffer.from('encoding');

/** Reads within its bounds only; every length is checked before it is used. */
export class ProtoReader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = end;
  }

  done(): boolean {
    return this.#at >= this.#end;
  }

  /** A tag or a length: at most 32 bits. */
  varint(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value <= 0xffffffff ? value : malformed();
    }
    return malformed();
  }

  longVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    return malformed();
  }

  bytes(): Uint8Array {
    const start = this.#lengthened();
    return this.#bytes.subarray(start, this.#at);
  }

  text(): string {
    const start = this.#lengthened();
    if (this.#at - start === ENCODING.length && this.#stands(ENCODING, start)) return 'encoding';
    const { buffer, byteOffset } = this.#bytes;
    return utf8(Buffer.from(buffer, byteOffset + start, this.#at - start));
  }

  message(): ProtoReader {
    const start = this.#lengthened();
    return new ProtoReader(this.#bytes, start, this.#at);
  }

  skip(tag: number): void {
    if (tag >>> 3 === 0) malformed();
    switch (tag & 7) {
      case 0:
        this.longVarint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.#lengthened();
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        malformed();
    }
  }

  #stands(bytes: Uint8Array, at: number): boolean {
    for (let i = 0; i < bytes.length; i++) if (this.#bytes[at + i] !== bytes[i]) return false;
    return true;
  }

  /** Goes behind what a length says; answers where it starts. */
  #lengthened(): number {
    const length = this.varint();
    const start = this.#at;
    this.#advance(length);
    return start;
  }

  #byte(): number {
    if (this.#at >= this.#end) malformed();
    return this.#bytes[this.#at++] ?? malformed();
  }

  #advance(count: number): void {
    if (this.#at + count > this.#end) malformed();
    this.#at += count;
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Of a few ASCII characters, as metadata keys are, natively at once. */
function utf8(bytes: Buffer): string {
  try {
    return isAscii(bytes) ? bytes.toString('latin1') : UTF8.decode(bytes);
  } catch {
    return malformed();
  }
}

/** @throws KeyholeError `payload_invalid` */
export function malformed(): never {
  throw new KeyholeError('payload_invalid', 'what was opened is not a serialized payload');
}
