// Sealing and opening, ours and others' side by side: CPU time, calls to the key service, and how long the loop stands.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Payload } from '@temporalio/common';
import { EncryptionCodec } from '../src/index.js';
import { FakeWrappingKey } from '../src/testing.js';
import { encryptionSdk, floor, keyhole, sample, type Contender } from './contenders.js';
import { printTable } from './table.js';

const ROUNDS = 7;
const KIB = 1024;
/** How often each size is sealed in one round. */
const SIZES = new Map([
  [200, 5_000],
  [64 * KIB, 500],
  [KIB * KIB, 50],
]);

function payloadOf(bytes: number): Payload {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.alloc(bytes, 'a') };
}

/** CPU time of this process for one of `count` calls of `work`, in microseconds. */
async function cpuMicros(count: number, work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) await work();
  const spent = process.cpuUsage(before);
  return (spent.user + spent.system) / count;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

export async function benchSealing(): Promise<void> {
  const sdk = encryptionSdk();
  const contenders = [keyhole(), floor(), await sample(), ...(sdk === undefined ? [] : [sdk])];
  const rows: string[][] = [];
  for (const [bytes, count] of SIZES) {
    for (const operation of ['seal', 'open'] as const)
      rows.push([`${operation} ${bytes} B`, ...(await compared(contenders, operation, bytes, count))]);
  }
  printTable(
    `Sealing and opening, CPU µs a payload (median of ${ROUNDS} interleaved rounds), and as a multiple of ours`,
    ['', ...contenders.map(({ name }) => name)],
    rows,
  );
  await benchCalls();
  await benchStall();
}

async function compared(
  contenders: readonly Contender[],
  operation: 'seal' | 'open',
  bytes: number,
  count: number,
): Promise<string[]> {
  const payload = payloadOf(bytes);
  const figures = contenders.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, contender] of contenders.entries()) {
      const sealed = await contender.seal(payload);
      const work = () => (operation === 'seal' ? contender.seal(payload) : contender.open(sealed));
      await cpuMicros(count / 10, work);
      collectGarbage(); // or one contender pays for what the one before it left
      figures[index]?.push(await cpuMicros(count, work));
    }
  }
  const [ours = NaN, ...others] = figures.map(median);
  return [
    ours.toFixed(1),
    ...others.map((theirs) => `${theirs.toFixed(1)} (${(theirs / ours).toFixed(2)} x)`),
  ];
}

async function benchCalls(): Promise<void> {
  const keys = new FakeWrappingKey();
  const namespace = 'bench.a1b2c';
  const [writer, reader] = [0, 1].map(() => new EncryptionCodec({ keys, namespace }));
  const plain = payloadOf(200);
  for (let i = 0; i < 10_000; i++) await reader?.decode((await writer?.encode([plain])) ?? []);
  const calls = (wanted: string) => keys.calls.filter(({ operation }) => operation === wanted).length;
  process.stdout.write(
    `\nCalls to the key service for 10,000 seals and opens in one namespace: ${calls('generate')} + ${calls('unwrap')}\n`,
  );
}

/** With a live data key a seal is done before `encode` answers its promise: that long nothing else runs. */
async function benchStall(): Promise<void> {
  const codec = keyhole();
  const payload = payloadOf(4 * KIB * KIB);
  const stalls: number[] = [];
  for (let i = 0; i < 50; i++) {
    const startedMs = performance.now();
    const sealing = codec.seal(payload);
    if (i > 0) stalls.push(performance.now() - startedMs);
    await sealing;
  }
  process.stdout.write(
    `Sealing 4 MiB holds up the event loop for ${median(stalls).toFixed(1)} ms (median of 49), ${Math.max(...stalls).toFixed(1)} ms at most\n`,
  );
}
