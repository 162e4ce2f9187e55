// Compression before sealing: in the shape of the SDKs' zlib codec, and only where it opens again.
import { promisify } from 'node:util';
import { deflate, type InputType, type ZlibOptions } from 'node:zlib';
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../errors.js';
import { BINARY_ZLIB, compressionOf, MAX_DECOMPRESSED_BYTES, MAX_RATIO } from './formats/compression.js';
import { writeParts } from './payload-proto.js';
import { bytesIn } from './seal.js';

const ENCODING_VALUE = Buffer.from(BINARY_ZLIB);

const zlibDeflate = promisify<InputType, ZlibOptions, Buffer>(deflate);

/**
 * Whether what is sealed must be wrapped once: it is large, or it is in the shape that whoever opens it decompresses
 * and was not compressed by us.
 */
export function needsWrapping(payload: Payload, plaintextBytes: number, aboveBytes: number): boolean {
  return plaintextBytes > aboveBytes || compressionOf(payload) === BINARY_ZLIB;
}

/**
 * What to seal in the place of `plaintext`, the serialized `payload`: it itself where compressing gains nothing, or
 * gains so much that it would be taken for a bomb.
 *
 * @throws KeyholeError `seal_failed` for a payload that is compressed already and too large to be wrapped.
 */
export async function wrapped(
  payload: Payload,
  plaintext: readonly Uint8Array[],
): Promise<readonly Uint8Array[]> {
  const isZlib = compressionOf(payload) === BINARY_ZLIB;
  const plaintextBytes = bytesIn(plaintext);
  if (plaintextBytes > MAX_DECOMPRESSED_BYTES) {
    if (!isZlib) return plaintext;
    throw new KeyholeError('seal_failed', 'a compressed payload is too large to be sealed');
  }
  const data = await zlibDeflate(Buffer.concat(plaintext), isZlib ? { level: 0 } : {});
  const packed = writeParts({ metadata: { encoding: ENCODING_VALUE }, data });
  const gains = bytesIn(packed) < plaintextBytes && plaintextBytes <= data.length * MAX_RATIO;
  return gains || isZlib ? packed : plaintext;
}
