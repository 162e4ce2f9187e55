// Sealed payloads with something changed: what was inside, or a refusal, or what is not sealed any more as it came.
import { isDeepStrictEqual } from 'node:util';
import type { Payload } from '@temporalio/common';
import { readMark } from '../../../src/codec/marks.js';
import { EncryptionCodec, isKeyholeError, Keyring } from '../../../src/index.js';
import { FakeWrappingKey } from '../../../src/testing.js';
import type { Random } from '../../access/random.js';
import { plainPayload } from '../../server/running-server.js';
import { mutated, pick } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

const NAMESPACE = 'orders.a1b2c';

export const envelope: FuzzTarget = {
  name: 'envelope',
  full: 1_000_000,
  inCi: 10_000,
  open: async () => {
    const plain = [
      plainPayload('short'),
      plainPayload('x'.repeat(2_000)),
      { metadata: {}, data: Buffer.alloc(0) },
    ];
    const codecs = (['keyhole/v1', 'encryption-jwt'] as const).map((write) => {
      const key = new FakeWrappingKey();
      const entry = { namespaces: [NAMESPACE], write, wrap: () => key, sharesKey: false };
      return new EncryptionCodec({ keys: new Keyring([entry]) });
    });
    const sealed = await Promise.all(codecs.map((codec) => codec.encode(plain, { namespace: NAMESPACE })));
    return {
      try: async (random) => {
        const which = random(codecs.length);
        const index = random(plain.length);
        const changed = changedPayload(sealed[which]?.[index] ?? {}, random);
        const [opened] =
          (await codecs[which]?.decode([changed], { namespace: NAMESPACE }).catch(refusal)) ?? [];
        if (opened === undefined || isDeepStrictEqual(content(opened), content(plain[index] ?? {}))) return;
        if (opened === changed && readMark(changed).kind !== 'sealed') return;
        throw new Error('something else came out than was put in');
      },
      close: () => Promise.resolve(),
    };
  },
};

function refusal(error: unknown): [] {
  if (isKeyholeError(error)) return [];
  throw error;
}

function content({ metadata, data }: Payload): unknown {
  const entries = Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value)]);
  return [Object.fromEntries(entries), Buffer.from(data ?? [])];
}

function changedPayload({ metadata, data }: Payload, random: Random): Payload {
  const entries = Object.entries(metadata ?? {});
  const others = entries.map(([, value]) => value);
  const changed = { metadata: { ...metadata }, data: data ?? new Uint8Array(0) };
  const [name, value] = pick(random, entries);
  switch (random(5)) {
    case 0:
    case 1:
      return { ...changed, metadata: { ...metadata, [name]: mutated(value, random, others) } };
    case 2:
      return { ...changed, data: mutated(changed.data, random, others) };
    case 3:
      return { ...changed, metadata: Object.fromEntries(entries.filter(([other]) => other !== name)) };
    default: {
      const other = mutated(Buffer.from(name), random).toString('latin1');
      return { ...changed, metadata: { ...changed.metadata, [other]: pick(random, others) } };
    }
  }
}
