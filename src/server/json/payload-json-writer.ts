// Payloads to their proto-JSON: standard base64 with padding, camelCase, nothing of ours in it.
import type { Payload } from '@temporalio/common';
import { base64Chars, encodeBase64 } from './base64.js';

const OPEN = Buffer.from('{"payloads":[');
const CLOSE = Buffer.from(']}');
const METADATA = Buffer.from('"metadata":{');
const DATA = Buffer.from('"data":"');
/** The key that nearly every payload has. */
const ENCODING = Buffer.from('"encoding"');
const EXTERNAL = Buffer.from('"externalPayloads":[');
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** Room for a payload's metadata at first; more is made where it is needed. */
const METADATA_GUESS_BYTES = 256;

/** As many payloads in the same order; empty fields are left out, as ProtoJSON does. */
export function writePayloads(payloads: readonly Payload[]): Buffer {
  let guess = 64;
  for (const { data } of payloads) guess += METADATA_GUESS_BYTES + base64Chars(data?.length ?? 0);
  const out = new JsonWriter(guess);
  out.raw(OPEN);
  for (const [index, payload] of payloads.entries()) {
    if (index > 0) out.byte(COMMA);
    writePayload(out, payload);
  }
  out.raw(CLOSE);
  return out.written();
}

function writePayload(out: JsonWriter, { metadata, data, externalPayloads }: Payload): void {
  out.byte(OPEN_BRACE);
  let first = true;
  const keys = Object.keys(metadata ?? {});
  if (metadata !== null && metadata !== undefined && keys.length > 0) {
    first = false;
    out.raw(METADATA);
    for (const [index, key] of keys.entries()) {
      if (index > 0) out.byte(COMMA);
      out.string(key);
      out.byte(COLON);
      out.byte(QUOTE);
      out.base64(metadata[key] ?? new Uint8Array(0));
      out.byte(QUOTE);
    }
    out.byte(CLOSE_BRACE);
  }
  if (data !== null && data !== undefined && data.length > 0) {
    if (!first) out.byte(COMMA);
    first = false;
    out.raw(DATA);
    out.base64(data);
    out.byte(QUOTE);
  }
  if (externalPayloads !== null && externalPayloads !== undefined && externalPayloads.length > 0) {
    if (!first) out.byte(COMMA);
    out.raw(EXTERNAL);
    const sizes = externalPayloads.map(({ sizeBytes }) => sizeBytes?.toString() ?? '0');
    out.raw(Buffer.from(sizes.map((size) => (size === '0' ? '{}' : `{"sizeBytes":"${size}"}`)).join(',')));
    out.raw(CLOSE_BRACKET);
  }
  out.byte(CLOSE_BRACE);
}

const CLOSE_BRACKET = Buffer.from(']');

/** A buffer that grows. */
class JsonWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  written(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  byte(byte: number): void {
    this.#room(1);
    this.#buffer[this.#at++] = byte;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  base64(bytes: Uint8Array): void {
    this.#room(base64Chars(bytes.length));
    this.#at = encodeBase64(bytes, this.#buffer, this.#at);
  }

  /** A JSON string; half a surrogate pair is escaped (well-formed `JSON.stringify`). */
  string(text: string): void {
    if (text === 'encoding') {
      this.raw(ENCODING);
      return;
    }
    const json = JSON.stringify(text);
    this.#room(json.length * 3);
    this.#at += this.#buffer.write(json, this.#at, 'utf8');
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
