// Sealing and opening against the official TypeScript sample's shape, in CPU microseconds a payload.
import { webcrypto } from 'node:crypto';
import proto from '@temporalio/proto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { EncryptionCodec, LocalWrappingKey } from '../src/index.js';
import { printTable } from './table.js';

const ROUNDS = 7;
const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/** The shape of the official sample: webcrypto, one payload at a time, protobufjs for the inner payload. */
class SampleShapeCodec implements PayloadCodec {
  readonly #key: webcrypto.CryptoKey;

  constructor(key: webcrypto.CryptoKey) {
    this.#key = key;
  }

  static async create(): Promise<SampleShapeCodec> {
    const key = await webcrypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
      'encrypt',
      'decrypt',
    ]);
    return new SampleShapeCodec(key);
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.all(payloads.map((payload) => this.#seal(payload)));
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.all(payloads.map((payload) => this.#open(payload)));
  }

  async #seal(payload: Payload): Promise<Payload> {
    const iv = webcrypto.getRandomValues(new Uint8Array(12));
    const plaintext = new Uint8Array(PayloadMessage.encode(payload).finish());
    const sealed = await webcrypto.subtle.encrypt(
      { name: 'AES-GCM', iv, tagLength: 128 },
      this.#key,
      plaintext,
    );
    const data = new Uint8Array(12 + sealed.byteLength);
    data.set(iv);
    data.set(new Uint8Array(sealed), 12);
    return {
      metadata: { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from('test') },
      data,
    };
  }

  async #open(payload: Payload): Promise<Payload> {
    const data = new Uint8Array(payload.data ?? []);
    const iv = data.subarray(0, 12);
    const plaintext = await webcrypto.subtle.decrypt(
      { name: 'AES-GCM', iv, tagLength: 128 },
      this.#key,
      data.subarray(12),
    );
    return PayloadMessage.decode(new Uint8Array(plaintext));
  }
}

function payloadOf(bytes: number): Payload {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.alloc(bytes, 'a') };
}

/** CPU time of this process for one call of `work`, in microseconds. */
async function cpuMicros(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const spent = process.cpuUsage(before);
  return spent.user + spent.system;
}

async function repeat(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await work();
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

export async function benchSealing(): Promise<void> {
  const codecs = {
    keyhole: new EncryptionCodec({
      namespace: 'bench.a1b2c',
      keys: new LocalWrappingKey([{ id: 'bench', secret: webcrypto.getRandomValues(new Uint8Array(32)) }]),
    }),
    sample: await SampleShapeCodec.create(),
  };
  const rows: string[][] = [];
  for (const bytes of [200, 64 * 1024]) {
    const count = bytes > 10_000 ? 1_000 : 10_000;
    const plain = payloadOf(bytes);
    for (const operation of ['seal', 'open'] as const) {
      const figures: Record<keyof typeof codecs, number[]> = { keyhole: [], sample: [] };
      for (let round = 0; round < ROUNDS; round++) {
        for (const name of ['keyhole', 'sample'] as const) {
          const codec = codecs[name];
          const sealed = await codec.encode([plain]);
          const work = operation === 'seal' ? () => codec.encode([plain]) : () => codec.decode(sealed);
          await repeat(count / 10, work);
          figures[name].push((await cpuMicros(() => repeat(count, work))) / count);
        }
      }
      const [ours, theirs] = [median(figures.keyhole), median(figures.sample)];
      rows.push([
        `${operation} ${bytes} B`,
        ours.toFixed(1),
        theirs.toFixed(1),
        `${(theirs / ours).toFixed(1)} x`,
      ]);
    }
  }
  printTable(
    'Sealing and opening, CPU µs a payload (median of 7 interleaved rounds)',
    ['', 'keyhole/v1', 'sample shape', 'ahead'],
    rows,
  );
}
