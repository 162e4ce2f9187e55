// Any payload, sealed under the data keys of a wrapping key and opened again, in both formats that are written.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EncryptionCodec } from '../../../src/index.js';
import type { KeyServiceUnderTest } from '../../../src/testing.js';
import { anyPayload, contentOf } from '../../codec/payloads.js';

/** Defines the tests for one provider. Each payload is sealed under a data key of its own. */
export function payloadsComeBack(open: () => Promise<Pick<KeyServiceUnderTest, 'key' | 'close'>>): void {
  test.each(['keyhole/v1', 'encryption-jwt'] as const)(
    'any payload, up to 4 MiB, comes back equal through %s',
    async (write) => {
      const { key, close } = await open();
      const [writer, reader] = [0, 1].map(
        () => new EncryptionCodec({ keys: key, namespace: 'orders.a1b2c', write }),
      );
      await fc.assert(
        fc.asyncProperty(anyPayload, async (payload) => {
          writer?.rotate();
          const opened = await reader?.decode((await writer?.encode([payload])) ?? []);
          expect(opened?.map(contentOf)).toEqual([contentOf(payload)]);
        }),
        { numRuns: 25, examples: [[{}], [{ data: randomBytes(4 * 2 ** 20) }]] },
      );
      await close?.();
    },
  );
}
