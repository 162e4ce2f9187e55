// Proto-JSON of temporal.api.common.v1.Payloads to payloads: the hot path of every request.
import type { Payload } from '@temporalio/common';
import Long from 'long';
import { KeyholeError } from '../../errors.js';
import {
  MAX_DATA_BYTES,
  MAX_METADATA_ENTRIES,
  MAX_METADATA_KEY_BYTES,
  MAX_METADATA_VALUE_BYTES,
} from '../limits.js';
import { decodeBase64 } from './base64.js';
import { JsonCursor } from './json-cursor.js';

const EMPTY = new Uint8Array(0);
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const INT64 = /^(?:0|-?[1-9][0-9]{0,18})$/;
const MAX_INT64 = 2n ** 63n - 1n;

type Metadata = Record<string, Uint8Array>;

/** Longer base64 is decoded where it stands: memory for another copy costs more than the decoding. */
const LONG_CHARS = 4_096;
/** What is shorter is decoded into blocks that many share. */
const BLOCK_BYTES = 65_536;

/**
 * The payloads of a body, as the ProtoJSON format maps them: both base64 alphabets, camelCase and snake_case, unknown
 * fields ignored, missing and null as the defaults. The body is used up: long data is a view of it. Payloads whose
 * metadata is the same text share the object: read only.
 *
 * @throws KeyholeError `body_invalid` (no JSON, or no payloads), `too_large` (more than `maxPayloads`, or data above
 * 4 MiB), `payload_invalid` (metadata: 64 entries, 256 B a key, 8 KiB a value).
 */
export function readPayloads(body: Buffer, maxPayloads: number): Payload[] {
  return new PayloadsReader(body, maxPayloads).read();
}

class PayloadsReader {
  readonly #json: JsonCursor;
  readonly #maxPayloads: number;
  #block = Buffer.alloc(0);
  /** Of the block, how much is in use. */
  #blockBytes = 0;
  readonly #payloads: Payload[] = [];
  #externalCount = 0;
  #last: { readonly metadata: Metadata; readonly from: number; readonly to: number } | undefined;

  constructor(body: Buffer, maxPayloads: number) {
    this.#json = new JsonCursor(body);
    this.#maxPayloads = maxPayloads;
  }

  read(): Payload[] {
    if (!this.#json.isObject()) this.#not('the body is not an object');
    this.#json.object((name) => {
      if (name === 'payloads') this.#listOf('payloads', this.#payload);
      else this.#json.skip();
    });
    this.#json.end();
    return this.#payloads;
  }

  /** Null is an empty list; null in a list is not allowed. */
  #listOf(name: string, element: () => void): void {
    if (this.#json.skipNull()) return;
    if (!this.#json.isArray()) this.#not(`"${name}" is not an array`);
    this.#json.array(() => {
      if (!this.#json.isObject()) this.#not(`"${name}" holds something that is not an object`);
      element();
    });
  }

  readonly #payload = (): void => {
    if (this.#payloads.length >= this.#maxPayloads) {
      throw new KeyholeError('too_large', `the body holds more than ${this.#maxPayloads} payloads`);
    }
    let metadata: Metadata | undefined;
    let data: Uint8Array = EMPTY;
    let external: { sizeBytes: Long }[] | undefined;
    this.#json.object((name) => {
      if (name === 'metadata') metadata = this.#metadata();
      else if (name === 'data') data = this.#bytes('data', MAX_DATA_BYTES);
      else if (name === 'externalPayloads' || name === 'external_payloads') {
        if (external !== undefined) this.#not('"externalPayloads" is there twice');
        external = this.#externalPayloads();
      } else this.#json.skip();
    });
    const payload: Payload = { metadata: metadata ?? {}, data };
    if (external !== undefined && external.length > 0) payload.externalPayloads = external;
    this.#payloads.push(payload);
  };

  #metadata(): Metadata {
    if (this.#json.skipNull()) return {};
    if (!this.#json.isObject()) this.#not('"metadata" is not an object');
    const repeated = this.#sameAsLast();
    if (repeated !== undefined) return repeated;
    const from = this.#json.at;
    const metadata: Metadata = {};
    let entries = 0;
    this.#json.object((key) => {
      entries += 1;
      if (entries > MAX_METADATA_ENTRIES) tooMuch(`more than ${MAX_METADATA_ENTRIES} entries`);
      if (Buffer.byteLength(key) > MAX_METADATA_KEY_BYTES)
        tooMuch(`a key of more than ${MAX_METADATA_KEY_BYTES} bytes`);
      const value = this.#bytes('metadata', MAX_METADATA_VALUE_BYTES);
      // `metadata[key] = …` would set the prototype for the key `__proto__`.
      if (key !== '__proto__') metadata[key] = value;
      else
        Object.defineProperty(metadata, key, { value, enumerable: true, writable: true, configurable: true });
    });
    this.#last = { metadata, from, to: this.#json.at };
    return metadata;
  }

  /** Payloads of one data key carry the same metadata: the same text is not read again. */
  #sameAsLast(): Metadata | undefined {
    if (this.#last === undefined) return undefined;
    const { bytes, at } = this.#json;
    const { metadata, from, to } = this.#last;
    const end = at + to - from;
    if (end > bytes.length || bytes.compare(bytes, from, to, at, end) !== 0) return undefined;
    this.#json.at = end;
    return metadata;
  }

  #bytes(field: 'metadata' | 'data', maxBytes: number): Uint8Array {
    if (field === 'data' && this.#json.skipNull()) return EMPTY;
    if (!this.#json.isString()) this.#not(`"${field}" holds something that is not a string`);
    const { bytes, at } = this.#json;
    const end = bytes.indexOf(QUOTE, at + 1);
    const chars = end - at - 1;
    if (end !== -1 && bytes[end - 1] !== BACKSLASH) {
      const hasEscapes = chars > LONG_CHARS && bytes.subarray(at, end).includes(BACKSLASH);
      if (Math.floor((chars * 3) / 4) > maxBytes + 2 && !hasEscapes) tooLarge(field, maxBytes);
      const decoded =
        chars > LONG_CHARS && !hasEscapes
          ? this.#decodeInPlace(at + 1, end, field)
          : this.#decode(bytes, at + 1, end);
      if (decoded !== undefined) {
        if (decoded.length > maxBytes) tooLarge(field, maxBytes);
        this.#json.at = end + 1;
        return decoded;
      }
    }
    const text = Buffer.from(this.#json.string(bytes.length), 'utf8');
    const decoded = this.#decode(text, 0, text.length) ?? this.#notBase64(field);
    if (decoded.length > maxBytes) tooLarge(field, maxBytes);
    return decoded;
  }

  #decode(text: Buffer, from: number, to: number): Uint8Array | undefined {
    const room = Math.ceil((to - from) / 4) * 3;
    if (this.#block.length - this.#blockBytes < room) {
      const rest = Math.ceil(this.#json.bytes.length / 4) * 3;
      this.#block = Buffer.allocUnsafe(Math.max(room, Math.min(rest, BLOCK_BYTES)));
      this.#blockBytes = 0;
    }
    const start = this.#blockBytes;
    const end = decodeBase64(text, from, to, this.#block, start);
    if (end === -1) return undefined;
    this.#blockBytes = end;
    return this.#block.subarray(start, end);
  }

  /** What was decoded is never longer than its text. If it fails, the text is gone: without escapes it is none. */
  #decodeInPlace(from: number, to: number, field: 'metadata' | 'data'): Uint8Array {
    const { bytes } = this.#json;
    const end = decodeBase64(bytes, from, to, bytes, from);
    return end === -1 ? this.#notBase64(field) : bytes.subarray(from, end);
  }

  #externalPayloads(): { sizeBytes: Long }[] {
    const external: { sizeBytes: Long }[] = [];
    this.#listOf('externalPayloads', () => {
      this.#externalCount += 1;
      if (this.#externalCount > this.#maxPayloads) {
        throw new KeyholeError(
          'too_large',
          `the body holds more than ${this.#maxPayloads} external payloads`,
        );
      }
      let sizeBytes: Long | undefined;
      this.#json.object((name) => {
        if (name !== 'sizeBytes' && name !== 'size_bytes') {
          this.#json.skip();
          return;
        }
        if (sizeBytes !== undefined) this.#not('"sizeBytes" is there twice');
        sizeBytes = this.#int64();
      });
      external.push({ sizeBytes: sizeBytes ?? Long.ZERO });
    });
    return external;
  }

  /** An int64 is a string or a number in ProtoJSON. */
  #int64(): Long {
    if (this.#json.skipNull()) return Long.ZERO;
    const text = this.#json.isString() ? this.#json.string(64) : this.#json.number();
    const value = INT64.test(text) ? BigInt(text) : undefined;
    if (value === undefined || value > MAX_INT64 || value < -MAX_INT64 - 1n)
      this.#not('"sizeBytes" is not a 64-bit integer');
    return Long.fromString(text);
  }

  #notBase64(field: 'metadata' | 'data'): never {
    return this.#not(`"${field}" is not base64`);
  }

  #not(what: string): never {
    throw new KeyholeError('body_invalid', `the body is not a list of payloads: ${what}`);
  }
}

function tooMuch(what: string): never {
  throw new KeyholeError('payload_invalid', `a payload has ${what}`);
}

function tooLarge(field: 'metadata' | 'data', maxBytes: number): never {
  if (field === 'metadata') tooMuch(`a metadata value of more than ${maxBytes} bytes`);
  throw new KeyholeError('too_large', `a payload has more than ${maxBytes} bytes of data`);
}
