// Payloads as other programs seal them, written anew from their formats' descriptions; also as codecs of those programs.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { readPayload, writePayload } from '../../src/codec/payload-proto.js';

function gcm(key: Uint8Array, plaintext: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function gcmOpened(key: Uint8Array, data: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, 12), { authTagLength: 16 });
  decipher.setAuthTag(data.subarray(-16));
  return Buffer.concat([decipher.update(data.subarray(12, -16)), decipher.final()]);
}

/** An encrypted payload with these further metadata entries. */
export function encrypted(metadata: Readonly<Record<string, string>>, data: Uint8Array): Payload {
  const entries = Object.entries({ encoding: 'binary/encrypted', ...metadata });
  return { metadata: Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value)])), data };
}

/** As the codec of Temporal's samples. */
export function sampleSealed(payload: Payload, key: Uint8Array, id: string): Payload {
  return encrypted({ 'encryption-key-id': id }, gcm(key, writePayload(payload)));
}

/** As temporal-proxy, with a data key that was wrapped already. */
export function proxySealed(
  payload: Payload,
  { uri, dataKey, wrapped }: { uri: string; dataKey: Uint8Array; wrapped: Uint8Array },
): Payload {
  const metadata = {
    'encryption-key-id': uri,
    'encryption-dek': Buffer.from(wrapped).toString('base64'),
  };
  return encrypted(metadata, gcm(dataKey, writePayload(payload)));
}

/** A codec that seals with `seal`, and opens what is sealed under `key`. */
export function codecOf(seal: (payload: Payload) => Payload, key: Uint8Array): PayloadCodec {
  return {
    encode: (payloads) => Promise.resolve(payloads.map(seal)),
    decode: (payloads) =>
      Promise.resolve(payloads.map(({ data }) => readPayload(gcmOpened(key, data ?? new Uint8Array(0))))),
  };
}
