// Protobuf's wire format, written into a buffer whose length is known (protobuf.dev/programming-guides/encoding).

export class ProtoWriter {
  readonly buffer: Buffer;
  #at = 0;

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafe(bytes);
  }

  header(tag: number, length: number): void {
    this.buffer[this.#at++] = tag;
    this.varint(length);
  }

  varint(value: number): void {
    for (; value > 0x7f; value >>>= 7) this.buffer[this.#at++] = (value & 0x7f) | 0x80;
    this.buffer[this.#at++] = value;
  }

  longVarint(value: bigint): void {
    for (; value > 0x7fn; value >>= 7n) this.buffer[this.#at++] = Number(value & 0x7fn) | 0x80;
    this.buffer[this.#at++] = Number(value);
  }

  text(text: string, bytes: number): void {
    this.buffer.write(text, this.#at, 'utf8');
    this.#at += bytes;
  }

  bytes(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}

/** One tag byte, the length, the content. */
export function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}
