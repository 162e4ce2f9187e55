// CRC-32C, the checksum that Google Cloud KMS sends and takes along with every byte string.

/** The Castagnoli polynomial, bits reversed (RFC 3720 §12.1). */
const POLYNOMIAL = 0x82f63b78;

/** The checksum as an unsigned number of 32 bits. Bit by bit: what is checked is short. */
export function crc32c(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit++)
      remainder = (remainder >>> 1) ^ ((remainder & 1) === 1 ? POLYNOMIAL : 0);
  }
  return ~remainder >>> 0;
}
