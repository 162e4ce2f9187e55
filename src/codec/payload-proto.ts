// A Payload to and from its protobuf bytes: what is sealed (temporal.api.common.v1.Payload of Temporal's API).
import { isAscii } from 'node:buffer';
import type { Payload } from '@temporalio/common';
import Long from 'long';
import { KeyholeError } from '../errors.js';

// message Payload { map<string, bytes> metadata = 1; bytes data = 2; repeated ExternalPayloadDetails external_payloads = 3; }
// message ExternalPayloadDetails { int64 size_bytes = 1; }  Tag bytes: field number << 3 | wire type (0 varint, 2 length).
const METADATA = 0x0a;
const DATA = 0x12;
const EXTERNAL = 0x1a;
const ENTRY_KEY = 0x0a;
const ENTRY_VALUE = 0x12;
const SIZE_BYTES = 0x08;

const EMPTY = new Uint8Array(0);
/** The key that nearly every payload has: making its text anew costs more. */
const ENCODING = Buffer.from('encoding');

/** Entries of metadata and external payloads together: each costs far more once read than its two bytes at least. */
export const MAX_ENTRIES = 1_000;

/** Larger data is not copied: it stands as a part of its own. */
const COPIED_BYTES = 4_096;

/**
 * The serialized payload; nothing of it is lost.
 *
 * @throws KeyholeError `payload_invalid` for more than 1000 entries of metadata and external payloads together.
 */
export function writePayload(payload: Payload): Uint8Array {
  const [first = EMPTY, ...others] = writeParts(payload);
  return others.length === 0 ? first : Buffer.concat([first, ...others]);
}

/** The serialized payload in parts, one behind the other. @throws KeyholeError as `writePayload`. */
export function writeParts(payload: Payload): readonly Uint8Array[] {
  const { metadata, data, externalPayloads } = payload;
  if (Object.keys(metadata ?? {}).length + (externalPayloads ?? []).length > MAX_ENTRIES)
    throw new KeyholeError('payload_invalid', `a payload has more than ${MAX_ENTRIES} entries`);
  if (data === null || data === undefined || data.length <= COPIED_BYTES) return [writeWhole(payload)];
  const before = writeWhole({ metadata: metadata ?? {} }, data.length);
  if (externalPayloads === null || externalPayloads === undefined || externalPayloads.length === 0)
    return [before, data];
  return [before, data, writeWhole({ externalPayloads })];
}

/** @param dataBytes - how long the data is that the caller puts behind what this writes; only its header is written. */
function writeWhole(payload: Payload, dataBytes = 0): Uint8Array {
  const entries = Object.entries(payload.metadata ?? {}).map(([key, value]) => new MetadataEntry(key, value));
  const data = payload.data ?? EMPTY;
  const external = (payload.externalPayloads ?? []).map(({ sizeBytes }) =>
    BigInt.asUintN(64, BigInt(sizeBytes?.toString() ?? 0)),
  );
  const out = new ProtoWriter(
    entries.reduce((bytes, entry) => bytes + fieldBytes(entry.bytes), 0) +
      (data.length === 0 ? 0 : fieldBytes(data.length)) +
      (dataBytes === 0 ? 0 : fieldBytes(dataBytes) - dataBytes) +
      external.reduce((bytes, size) => bytes + fieldBytes(sizeMessageBytes(size)), 0),
  );
  for (const entry of entries) {
    out.header(METADATA, entry.bytes);
    out.header(ENTRY_KEY, entry.keyBytes);
    out.text(entry.key, entry.keyBytes);
    out.header(ENTRY_VALUE, entry.value.length);
    out.bytes(entry.value);
  }
  if (data.length > 0) {
    out.header(DATA, data.length);
    out.bytes(data);
  }
  if (dataBytes > 0) out.header(DATA, dataBytes);
  for (const size of external) {
    out.header(EXTERNAL, sizeMessageBytes(size));
    if (size === 0n) continue;
    out.varint(SIZE_BYTES);
    out.longVarint(size);
  }
  return out.buffer;
}

/**
 * The payload of these bytes; unknown fields are skipped. `metadata` values and `data` are views of `bytes`.
 *
 * @throws KeyholeError `payload_invalid`
 */
export function readPayload(bytes: Uint8Array): Payload {
  const metadata: Record<string, Uint8Array> = {};
  const payload: {
    metadata: Record<string, Uint8Array>;
    data: Uint8Array;
    externalPayloads?: { sizeBytes: Long }[];
  } = {
    metadata,
    data: EMPTY,
  };
  const reader = new ProtoReader(bytes);
  let entries = 0;
  while (!reader.done()) {
    const tag = reader.varint();
    if ((tag === METADATA || tag === EXTERNAL) && ++entries > MAX_ENTRIES) malformed();
    if (tag === METADATA) readEntry(reader.message(), metadata);
    else if (tag === DATA) payload.data = reader.bytes();
    else if (tag === EXTERNAL)
      (payload.externalPayloads ??= []).push({ sizeBytes: readSize(reader.message()) });
    else reader.skip(tag);
  }
  return payload;
}

function readEntry(reader: ProtoReader, metadata: Record<string, Uint8Array>): void {
  let key = '';
  let value: Uint8Array = EMPTY;
  while (!reader.done()) {
    const tag = reader.varint();
    if (tag === ENTRY_KEY) key = reader.text();
    else if (tag === ENTRY_VALUE) value = reader.bytes();
    else reader.skip(tag);
  }
  // `metadata[key] = …` would set the prototype for the key `__proto__`; for all others it is quicker.
  if (key !== '__proto__') metadata[key] = value;
  else Object.defineProperty(metadata, key, { value, enumerable: true, writable: true, configurable: true });
}

function readSize(reader: ProtoReader): Long {
  let size = 0n;
  while (!reader.done()) {
    const tag = reader.varint();
    if (tag === SIZE_BYTES) size = reader.longVarint();
    else reader.skip(tag);
  }
  return Long.fromString(BigInt.asIntN(64, size).toString());
}

class MetadataEntry {
  readonly key: string;
  readonly keyBytes: number;
  readonly value: Uint8Array;
  /** Length of the whole entry. */
  readonly bytes: number;

  constructor(key: string, value: Uint8Array) {
    this.key = key;
    this.keyBytes = Buffer.byteLength(key);
    this.value = value;
    this.bytes = fieldBytes(this.keyBytes) + fieldBytes(value.length);
  }
}

/** One tag byte, the length, the content. */
function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

function sizeMessageBytes(size: bigint): number {
  return size === 0n ? 0 : 1 + Math.ceil(size.toString(2).length / 7);
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

class ProtoWriter {
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

/** Reads within its bounds only; every length is checked before it is used. */
class ProtoReader {
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

function malformed(): never {
  throw new KeyholeError('payload_invalid', 'what was opened is not a serialized payload');
}
