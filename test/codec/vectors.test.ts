// The golden vectors open in the library, and in a second implementation written from docs/format.md alone.
import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { writePayload } from '../../src/codec/payload-proto.js';
import { EncryptionCodec, LocalWrappingKey, type ForeignRead } from '../../src/index.js';
import { readVectors, type Vector } from '../vectors/vectors.js';
import { requirePart } from '../parts/available.js';

const reads: Record<string, readonly ForeignRead[]> = {
  'keyhole-v1': [],
  'encryption-jwt': ['encryption-jwt'],
};

function codecFor({ keyId, secret, namespace }: Vector, format: string): EncryptionCodec {
  const keys = new LocalWrappingKey([{ id: keyId, secret }]);
  return new EncryptionCodec({ keys, namespace, reads: reads[format] ?? [] });
}

describe.each(['keyhole-v1', 'encryption-jwt'] as const)('the %s vectors', (format) => {
  const vectors = readVectors(format);

  test.each(vectors.filter(({ refused }) => refused === undefined))('open: $name', async (vector) => {
    const [opened] = await codecFor(vector, format).decode([vector.payload]);
    expect(Buffer.from(writePayload(opened ?? {}))).toEqual(vector.plaintext);
  });

  test.each(vectors.filter(({ refused }) => refused !== undefined))('refuse: $name', async (vector) => {
    await expect(codecFor(vector, format).decode([vector.payload])).rejects.toThrow();
  });
});

test('a Python program written from docs/format.md alone opens and refuses the same vectors', (context) => {
  const { python } = requirePart(context, 'python');
  const script = new URL('../second-implementation/open_keyhole_v1.py', import.meta.url).pathname;
  const file = new URL('../vectors/keyhole-v1.json', import.meta.url).pathname;
  const said = execFileSync(python, [script, file], { encoding: 'utf8' });
  const vectors = readVectors('keyhole-v1');
  const refused = vectors.filter((vector) => vector.refused !== undefined).length;
  expect(JSON.parse(said)).toEqual({ opened: vectors.length - refused, refused });
});
