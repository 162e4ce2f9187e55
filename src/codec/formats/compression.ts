// Compressed payloads in the shape of the SDKs' zlib codec: recognised, and decompressed within bounds.
import { promisify } from 'node:util';
import { gunzip, inflate, type InputType, type ZlibOptions } from 'node:zlib';
import type { Payload } from '@temporalio/common';
import { KeyholeError } from '../../errors.js';
import { ownMemory } from '../own-memory.js';
import { readPayload } from '../payload-proto.js';

export const COMPRESSION = 'compression';

export const BINARY_ZLIB = 'binary/zlib';
const ENCODINGS = [BINARY_ZLIB, 'binary/gzip', 'binary/snappy'] as const;

export type CompressionEncoding = (typeof ENCODINGS)[number];

/** A payload that is larger once decompressed, absolutely or as a multiple of its data, is refused. */
export const MAX_DECOMPRESSED_BYTES = 16 * 2 ** 20;
export const MAX_RATIO = 200;

const EMPTY = new Uint8Array(0);

const zlibInflate = promisify<InputType, ZlibOptions, Buffer>(inflate);
const zlibGunzip = promisify<InputType, ZlibOptions, Buffer>(gunzip);

/**
 * How a payload is compressed: `encoding` says so and is all the metadata it has. With other keys beside it, it is
 * of another shape, whose own codec has to open it.
 */
export function compressionOf({ metadata, externalPayloads }: Payload): CompressionEncoding | undefined {
  const encoding = metadata?.['encoding'];
  if (encoding === undefined || encoding.length < BINARY_ZLIB.length || encoding.length > 13)
    return undefined;
  const text = Buffer.from(encoding).toString('latin1');
  const found = ENCODINGS.find((name) => name === text);
  if (found === undefined || Object.keys(metadata ?? {}).length > 1) return undefined;
  return (externalPayloads ?? []).length === 0 ? found : undefined;
}

/**
 * The payload inside of a compressed one; one layer.
 *
 * @throws KeyholeError `payload_invalid` for what is not compressed as it says, is too large once decompressed, or
 * holds no serialized payload.
 */
export async function decompress({ data }: Payload, encoding: CompressionEncoding): Promise<Payload> {
  const packed = data ?? EMPTY;
  const maxBytes = Math.min(MAX_DECOMPRESSED_BYTES, packed.length * MAX_RATIO);
  if (encoding === 'binary/snappy') {
    const { unsnap } = await import('./snappy.js'); // with a decoder that only such payloads need
    return readPayload(ownMemory(unsnap(packed, maxBytes)));
  }
  const unpack = encoding === BINARY_ZLIB ? zlibInflate : zlibGunzip;
  const unpacked = await unpack(packed, { maxOutputLength: Math.max(1, maxBytes) }).catch(refuse);
  return readPayload(ownMemory(unpacked));

  function refuse(cause: unknown): never {
    const tooLarge = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
    const what = tooLarge ? 'is larger than it may be once decompressed' : 'does not decompress';
    throw new KeyholeError('payload_invalid', `a ${encoding} payload ${what}`, { cause });
  }
}
