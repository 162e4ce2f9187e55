// Payloads of every form, for property tests.
import type { Payload } from '@temporalio/common';
import fc from 'fast-check';
import Long from 'long';

/** Any payload: no metadata, many, empty and binary values, external payloads with any 64-bit size. */
export const anyPayload: fc.Arbitrary<Payload> = fc.record({
  metadata: fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.uint8Array({ maxLength: 60 }), {
    maxKeys: 8,
  }),
  data: fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 100, maxLength: 20_000 })),
  externalPayloads: fc.array(
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((size) => ({ sizeBytes: Long.fromString(size.toString()) })),
    { maxLength: 3 },
  ),
});

/** What a payload is, whichever way its bytes are held. */
export function contentOf(payload: Payload | undefined): object {
  const hex = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('hex');
  return {
    metadata: Object.entries(payload?.metadata ?? {}).map(([key, value]) => [key, hex(value)]),
    data: hex(payload?.data),
    external: (payload?.externalPayloads ?? []).map(({ sizeBytes }) => (sizeBytes ?? 0).toString()),
  };
}
