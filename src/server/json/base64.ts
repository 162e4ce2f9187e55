// Base64 to bytes and back, strictly: Node's own decoder silently takes garbage.

/** Characters decoded natively at a time: a multiple of 4, small enough for strings that live and die young. */
const CHUNK_CHARS = 32_768;
/** The same for encoding: a multiple of 3. */
const CHUNK_BYTES = 24_576;
/** Below it, our own loop is quicker than a call out of JavaScript. */
const SHORT_CHARS = 400;

const INVALID = 0x80;
const PAD = 0x3d;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const STANDARD_CHARS = Buffer.from(`${LETTERS}+/`, 'latin1');
const STANDARD = tableOf(STANDARD_CHARS);
const URL_SAFE = tableOf(Buffer.from(`${LETTERS}-_`, 'latin1'));
const PAIRS = Uint16Array.from({ length: 4_096 }, (_, bits) => (charOf(bits >> 6) << 8) | charOf(bits));

/**
 * Decodes `text[from, to)` into `out` at `at`: either alphabet of RFC 4648 (§4, §5) but not a mixture, padded or not,
 * nothing else, no bits left over (§3.5). `out` has room for three quarters of it; more than 400 characters may be
 * decoded where they stand.
 *
 * @returns where the bytes end in `out`, or -1 if it is not base64.
 */
export function decodeBase64(text: Buffer, from: number, to: number, out: Buffer, at: number): number {
  let end = to;
  if ((to - from) % 4 === 0) {
    if (end > from && text[end - 1] === PAD) end -= 1;
    if (end > from && text[end - 1] === PAD) end -= 1;
  }
  if (end - from > SHORT_CHARS) return decodeLong(text, from, end, out, at);
  const done = decodeWith(STANDARD, text, from, end, out, at);
  return done === -1 ? decodeWith(URL_SAFE, text, from, end, out, at) : done;
}

function decodeLong(text: Buffer, from: number, to: number, out: Buffer, at: number): number {
  const part = text.subarray(from, to);
  const urlSafe = part.includes(0x2d) || part.includes(0x5f);
  if (urlSafe && (part.includes(0x2b) || part.includes(0x2f))) return -1;
  const wholeEnd = to - ((to - from) % 4);
  const written = decodeNatively(text, from, wholeEnd, out, at);
  return written === -1 ? -1 : decodeWith(urlSafe ? URL_SAFE : STANDARD, text, wholeEnd, to, out, written);
}

/** Whole groups of four. Node takes both alphabets and leaves out what is in neither: then bytes are missing. */
function decodeNatively(text: Buffer, from: number, to: number, out: Buffer, at: number): number {
  let written = at;
  for (let i = from; i < to; i += CHUNK_CHARS) {
    const chunk = text.toString('latin1', i, Math.min(to, i + CHUNK_CHARS));
    const bytes = out.write(chunk, written, 'base64');
    if (bytes * 4 !== chunk.length * 3) return -1;
    written += bytes;
  }
  return written;
}

function decodeWith(
  table: Uint8Array,
  text: Buffer,
  from: number,
  to: number,
  out: Buffer,
  at: number,
): number {
  const rest = (to - from) % 4;
  const wholeEnd = to - rest;
  let bad = 0;
  let written = at;
  for (let i = from; i < wholeEnd; i += 4) {
    const a = codeAt(table, text, i);
    const b = codeAt(table, text, i + 1);
    const c = codeAt(table, text, i + 2);
    const d = codeAt(table, text, i + 3);
    bad |= a | b | c | d;
    out[written++] = (a << 2) | (b >> 4);
    out[written++] = (b << 4) | (c >> 2);
    out[written++] = (c << 6) | d;
  }
  if (bad >= INVALID || rest === 1) return -1;
  if (rest === 0) return written;
  const a = codeAt(table, text, wholeEnd);
  const b = codeAt(table, text, wholeEnd + 1);
  const c = rest === 3 ? codeAt(table, text, wholeEnd + 2) : 0;
  const leftOver = rest === 3 ? c & 0x03 : b & 0x0f;
  if ((a | b | c) >= INVALID || leftOver !== 0) return -1;
  out[written++] = (a << 2) | (b >> 4);
  if (rest === 3) out[written++] = (b << 4) | (c >> 2);
  return written;
}

function codeAt(table: Uint8Array, text: Buffer, index: number): number {
  return table[text[index] ?? 0] ?? INVALID;
}

/** Length of `bytes` bytes in padded base64. */
export function base64Chars(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}

/** Writes `bytes` to `out` at `at` in the standard alphabet, padded. Returns where they end. */
export function encodeBase64(bytes: Uint8Array, out: Buffer, at: number): number {
  if (bytes.length > SHORT_CHARS) return encodeNatively(bytes, out, at);
  const rest = bytes.length % 3;
  const wholeEnd = bytes.length - rest;
  let written = at;
  for (let i = 0; i < wholeEnd; i += 3) {
    const middle = bytes[i + 1] ?? 0;
    const first = pairOf(((bytes[i] ?? 0) << 4) | (middle >> 4));
    const second = pairOf(((middle & 0x0f) << 8) | (bytes[i + 2] ?? 0));
    out[written++] = first >> 8;
    out[written++] = first;
    out[written++] = second >> 8;
    out[written++] = second;
  }
  if (rest === 0) return written;
  const middle = rest === 2 ? (bytes[wholeEnd + 1] ?? 0) : 0;
  const first = pairOf(((bytes[wholeEnd] ?? 0) << 4) | (middle >> 4));
  out[written++] = first >> 8;
  out[written++] = first;
  out[written++] = rest === 2 ? pairOf((middle & 0x0f) << 8) >> 8 : PAD;
  out[written++] = PAD;
  return written;
}

/** Two characters for twelve bits, the first one in the high byte. */
function pairOf(bits: number): number {
  return PAIRS[bits] ?? 0;
}

function encodeNatively(bytes: Uint8Array, out: Buffer, at: number): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let written = at;
  for (let i = 0; i < buffer.length; i += CHUNK_BYTES) {
    written += out.write(
      buffer.toString('base64', i, Math.min(buffer.length, i + CHUNK_BYTES)),
      written,
      'latin1',
    );
  }
  return written;
}

function charOf(code: number): number {
  return STANDARD_CHARS[code & 0x3f] ?? 0;
}

function tableOf(chars: Buffer): Uint8Array {
  const table = new Uint8Array(256).fill(INVALID);
  for (const [code, char] of chars.entries()) table[char] = code;
  return table;
}
