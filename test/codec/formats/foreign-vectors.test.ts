// What other programs wrote opens, once its format is enabled; changed, or under another key, it does not.
import type { Payload } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { writePayload } from '../../../src/codec/payload-proto.js';
import { EncryptionCodec, isKeyholeError, secretBoxKey, type ForeignRead } from '../../../src/index.js';
import { FakeWrappingKey } from '../../../src/testing.js';
import { plantSecret } from '../../streams.js';
import { readForeignVectors, type ForeignVector } from '../../vectors/vectors.js';

const NAMESPACE = 'orders.a1b2c';
const SECRET = Buffer.alloc(32, 9);

/** What enables the format of a vector, with the vector's key or another. */
function readsFor(file: string, { keyId = 'only', secret = SECRET }: ForeignVector): ForeignRead {
  switch (file.split('.')[0]) {
    case 'static-key':
      return {
        format: 'static-key',
        keys: [
          { id: 'older', secret: SECRET },
          { id: keyId, secret },
        ],
      };
    case 'fernet':
      return {
        format: 'fernet',
        keys: [
          { id: 'older', secret: SECRET },
          { id: 'current', secret },
        ],
      };
    case 'temporal-proxy':
      return { format: 'temporal-proxy', keys: { [keyId]: secretBoxKey(plantSecret(keyId)) } };
    default:
      return 'compression';
  }
}

function codecWith(...reads: ForeignRead[]): EncryptionCodec {
  return new EncryptionCodec({ keys: new FakeWrappingKey(), namespace: NAMESPACE, reads });
}

async function codeOf(opening: Promise<unknown>): Promise<string> {
  const error: unknown = await opening.catch((thrown: unknown) => thrown);
  return isKeyholeError(error) ? error.code : `no KeyholeError but ${String(error)}`;
}

function flipped(payload: Payload, at: number): Payload {
  const data = Buffer.from(payload.data ?? []);
  data[at] = (data[at] ?? 0) ^ 1;
  return { ...payload, data };
}

const SEALED = [
  'static-key.go',
  'static-key.python',
  'static-key.java',
  'fernet.python',
  'temporal-proxy.go',
] as const;

describe.each([...SEALED, 'compression.go', 'compression.python'])('the vectors of %s', (file) => {
  test.each(readForeignVectors(file))('open: $name', async (vector) => {
    const [opened] = await codecWith(readsFor(file, vector)).decode([vector.payload]);
    expect(Buffer.from(writePayload(opened ?? {})).equals(vector.plaintext)).toBe(true);
  });
});

describe.each(SEALED)('what %s wrote', (file) => {
  const [vector] = readForeignVectors(file);
  if (vector === undefined) throw new Error(`${file} has no vectors`);

  test('does not open where its format is not enabled', async () => {
    expect(await codeOf(codecWith().decode([vector.payload]))).toBe('format_not_enabled');
  });

  test('does not open with one byte changed, cut off or added, wherever it is', async () => {
    const codec = codecWith(readsFor(file, vector));
    const { data } = vector.payload;
    for (let at = 0; at < data.length; at++) {
      const code = await codeOf(codec.decode([flipped(vector.payload, at)]));
      expect(['not_opened', 'payload_invalid', 'key_not_configured', 'format_not_enabled']).toContain(code);
      expect(await codeOf(codec.decode([{ ...vector.payload, data: data.subarray(0, at) }]))).toMatch(/_/);
    }
    const longer = { ...vector.payload, data: Buffer.concat([data, Buffer.of(0)]) };
    expect(await codeOf(codec.decode([longer]))).toMatch(/^(not_opened|payload_invalid)$/);
  });

  test('does not open under a key that is not its own', async () => {
    const others: Record<string, ForeignRead> = {
      'static-key': { format: 'static-key', keys: [{ id: vector.keyId ?? 'x', secret: SECRET }] },
      fernet: { format: 'fernet', keys: [{ id: 'other', secret: SECRET }] },
      'temporal-proxy': {
        format: 'temporal-proxy',
        keys: { [vector.keyId ?? '']: secretBoxKey(`base64key://${SECRET.toString('base64url')}=`) },
      },
    };
    const other = others[file.split('.')[0] ?? ''];
    if (other === undefined) throw new Error(`no other key for ${file}`);
    expect(await codeOf(codecWith(other).decode([vector.payload]))).toMatch(/^(not_opened|key_)/);
  });
});

test('a key id that is not configured appears as a digest, since it may be the key itself', async () => {
  const [, vector] = readForeignVectors('static-key.java');
  const keyId = plantSecret(vector?.keyId ?? '');
  const codec = codecWith({ format: 'static-key', keys: [{ id: 'another', secret: SECRET }] });
  const error: unknown = await codec.decode([vector?.payload ?? {}]).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'key_not_configured' });
  expect(String(error)).toMatch(/unknown:[0-9a-f]{16}$/);
  expect(String(error)).not.toContain(keyId);
});
