// The serialized payload is protobuf's, both ways, and malformed bytes are refused.
import proto from '@temporalio/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_ENTRIES, readPayload, writePayload } from '../../src/codec/payload-proto.js';
import { anyPayload, contentOf } from './payloads.js';

const { Payload } = proto.temporal.api.common.v1;

describe('a serialized payload', () => {
  test('reads back equal, with nothing lost', () => {
    fc.assert(
      fc.property(anyPayload, (payload) => {
        expect(contentOf(readPayload(writePayload(payload)))).toEqual(contentOf(payload));
      }),
    );
  });

  test('is read by protobufjs as we read it, and its bytes by us as protobufjs reads them', () => {
    fc.assert(
      fc.property(anyPayload, (payload) => {
        expect(contentOf(Payload.decode(writePayload(payload)))).toEqual(contentOf(payload));
        expect(contentOf(readPayload(Payload.encode(payload).finish()))).toEqual(contentOf(payload));
      }),
    );
  });

  test('keeps a metadata key named __proto__ as a key', () => {
    const entry = Buffer.from('0a0e0a095f5f70726f746f5f5f120161', 'hex');
    expect(Object.entries(readPayload(entry).metadata ?? {})).toEqual([['__proto__', Buffer.from('a')]]);
  });

  test('skips fields that a later version of Temporal may add', () => {
    const known = Buffer.from(writePayload({ data: Buffer.from('x') }));
    const added = Buffer.from('f80101' + 'f9010000000000000000' + 'fa010161' + 'fd0100000000', 'hex');
    expect(contentOf(readPayload(Buffer.concat([added, known, added])))).toEqual(
      contentOf(readPayload(known)),
    );
  });

  test.each([
    ['a length beyond the end', '1205aa'],
    ['a length that is cut off', '1280'],
    ['a length of more than 32 bits', '12ffffffffff01'],
    ['a key that reaches beyond its entry', '0a030a02611201ff'],
    ['a varint that is cut off by the end of its entry', '0a0218801200'],
    ['a skipped field that reaches beyond its entry', '0a032202ff1201ff'],
    ['a group', '0b'],
    ['field number zero', '0200'],
    ['a key that is not UTF-8', '0a030a01ff'],
    ['a fixed field that is cut off', '090000'],
  ])('is refused with %s', (_, hex) => {
    expect(() => readPayload(Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ code: 'payload_invalid' }),
    );
  });

  test('holds 1,000 entries and no more, written or read: 16 MiB of empty ones would stop everything for seconds', () => {
    const metadata = (count: number): Record<string, Uint8Array> =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, new Uint8Array(1)]));
    const most = { metadata: metadata(MAX_ENTRIES) };
    const written = writePayload(most);
    expect(contentOf(readPayload(written))).toEqual(contentOf(most));
    for (const one of ['0a00', '1a00'])
      expect(() => readPayload(Buffer.concat([written, Buffer.from(one, 'hex')]))).toThrow(
        expect.objectContaining({ code: 'payload_invalid' }),
      );
    const more = [
      { metadata: metadata(MAX_ENTRIES + 1) },
      { ...most, externalPayloads: [{}] },
      { ...most, externalPayloads: [{}], data: new Uint8Array(5_000) },
    ];
    for (const payload of more)
      expect(() => writePayload(payload)).toThrow(expect.objectContaining({ code: 'payload_invalid' }));
  });

  test('of arbitrary bytes is read or refused, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          readPayload(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'payload_invalid' });
        }
      }),
      { numRuns: 20_000 },
    );
  });
});
