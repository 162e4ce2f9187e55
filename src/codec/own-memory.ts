// Bytes that keep no memory but their own.

/**
 * As they are, or a copy where they lie in memory that is larger: zlib writes into pieces of 16 KiB and Node keeps
 * small buffers together, and a few bytes would keep the whole.
 */
export function ownMemory(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}
