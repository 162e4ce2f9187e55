// A Payload to and from its protobuf bytes: what is sealed (temporal.api.common.v1.Payload of Temporal's API).
import type { Payload } from '@temporalio/common';
import Long from 'long';
import { KeyholeError } from '../errors.js';
import { malformed, ProtoReader } from './proto-reader.js';
import { fieldBytes, ProtoWriter } from './proto-writer.js';

// message Payload { map<string, bytes> metadata = 1; bytes data = 2; repeated ExternalPayloadDetails external_payloads = 3; }
// message ExternalPayloadDetails { int64 size_bytes = 1; }  Tag bytes: field number << 3 | wire type (0 varint, 2 length).
const METADATA = 0x0a;
const DATA = 0x12;
const EXTERNAL = 0x1a;
const ENTRY_KEY = 0x0a;
const ENTRY_VALUE = 0x12;
const SIZE_BYTES = 0x08;

const EMPTY = new Uint8Array(0);
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

function sizeMessageBytes(size: bigint): number {
  return size === 0n ? 0 : 1 + Math.ceil(size.toString(2).length / 7);
}
