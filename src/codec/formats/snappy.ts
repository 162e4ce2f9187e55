// Snappy within a bound: the block format, and the framing around it that Temporal's documentation for Python writes.
import { snappyUncompress } from 'hysnappy';
import { KeyholeError } from '../../errors.js';
import { crc32c } from '../../keys/providers/crc32c.js';

/** Chunks of the framing (google/snappy, framing_format.txt §4): one byte of type, three of length, little-endian. */
const CHUNK_HEADER_BYTES = 4;
const CHECKSUM_BYTES = 4;
const COMPRESSED = 0x00;
const STORED = 0x01;
const FIRST_SKIPPABLE = 0x80;
const MAX_CHUNK_BYTES = 65_536;
/** The first chunk of every stream. No block begins so: it would copy from before its first byte. */
const STREAM_IDENTIFIER = Buffer.from('ff060000734e61507059', 'hex');

/**
 * What `data` holds, in either form. A length is read and judged before anything is allocated for it.
 *
 * @throws KeyholeError `payload_invalid` for more than `maxBytes`, and for what is not Snappy.
 */
export function unsnap(data: Uint8Array, maxBytes: number): Uint8Array {
  const head = data.subarray(0, STREAM_IDENTIFIER.length);
  return STREAM_IDENTIFIER.equals(head) ? unframe(data, maxBytes) : uncompressBlock(data, maxBytes);
}

/** google/snappy, format_description.txt: the decompressed length as a varint, then literals and copies. */
function uncompressBlock(block: Uint8Array, maxBytes: number): Uint8Array {
  const length = declaredLength(block);
  if (length > maxBytes) throw malformed('is larger than it may be once decompressed');
  try {
    return snappyUncompress(block, length); // an instance of its own: no other payload's bytes are in its memory
  } catch {
    throw malformed('is not in the block format');
  }
}

function declaredLength(block: Uint8Array): number {
  let length = 0;
  for (const [index, byte] of block.subarray(0, 5).entries()) {
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return length;
  }
  throw malformed('has no length');
}

function unframe(stream: Uint8Array, maxBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let at = 0; at < stream.length;) {
    const { type, body, end } = chunkAt(stream, at);
    at = end;
    if (type >= FIRST_SKIPPABLE) continue;
    const part = contentOf(type, body, Math.min(MAX_CHUNK_BYTES, maxBytes - total));
    total += part.length;
    parts.push(part);
  }
  return Buffer.concat(parts, total);
}

interface Chunk {
  readonly type: number;
  readonly body: Uint8Array;
  readonly end: number;
}

function chunkAt(stream: Uint8Array, at: number): Chunk {
  const [type, low, middle, high] = stream.subarray(at, at + CHUNK_HEADER_BYTES);
  if (type === undefined || low === undefined || middle === undefined || high === undefined) {
    throw malformed('is cut off');
  }
  const end = at + CHUNK_HEADER_BYTES + (low | (middle << 8) | (high << 16));
  if (end > stream.length) throw malformed('is cut off');
  return { type, body: stream.subarray(at + CHUNK_HEADER_BYTES, end), end };
}

function contentOf(type: number, body: Uint8Array, maxBytes: number): Uint8Array {
  if (type !== COMPRESSED && type !== STORED) throw malformed('has a chunk of an unknown type');
  if (body.length < CHECKSUM_BYTES) throw malformed('is cut off');
  const packed = body.subarray(CHECKSUM_BYTES);
  const content = type === COMPRESSED ? uncompressBlock(packed, maxBytes) : packed;
  if (content.length > maxBytes) throw malformed('is larger than it may be once decompressed');
  const checksum = Buffer.from(body.subarray(0, CHECKSUM_BYTES)).readUInt32LE();
  if (maskedCrc32c(content) !== checksum) throw malformed('has a wrong checksum');
  return content;
}

/** Framing §3: the checksum, rotated and with a constant added. */
function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function malformed(what: string): KeyholeError {
  return new KeyholeError('payload_invalid', `a binary/snappy payload ${what}`);
}
