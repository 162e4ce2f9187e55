// Sealing and opening, ours and others' side by side: CPU time, calls to the key service, and how long the loop stands.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Payload } from '@temporalio/common';
import { EncryptionCodec, FakeWrappingKey } from './built.js';
import { keyhole } from './contenders.js';
import type { Turn } from './contestant.js';
import { printTable } from './table.js';

const CONTENDERS = ['keyhole', 'floor', 'sample', 'encryptionSdk'];
const ROUNDS = 15;
/** Rounds before those that count: until then functions are compiled. */
const WARM_UP_ROUNDS = 3;
/** How long one contender works in a round. */
const TURN_MS = 100;
const KIB = 1024;
const SIZES = [200, 64 * KIB, KIB * KIB];

/** Each in a process of its own: none pays for another's garbage or for code that was compiled for both. */
interface Contestant {
  readonly name: string;
  readonly child: ChildProcess;
}

function payloadOf(bytes: number): Payload {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.alloc(bytes, 'a') };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

async function contestants(): Promise<Contestant[]> {
  const all = await Promise.all(
    CONTENDERS.map(async (which): Promise<Contestant> => {
      const script = fileURLToPath(new URL('contestant.ts', import.meta.url));
      const child = fork(script, [which], { execArgv: ['--import', 'tsx'] });
      const [name] = (await once(child, 'message')) as [string];
      return { name, child };
    }),
  );
  for (const { child } of all.filter(({ name }) => name === '')) child.disconnect();
  return all.filter(({ name }) => name !== '');
}

async function micros({ child }: Contestant, turn: Turn): Promise<number> {
  child.send(turn);
  const [spent] = (await once(child, 'message')) as [number];
  return spent;
}

export async function benchSealing(): Promise<void> {
  const all = await contestants();
  const rows: string[][] = [];
  for (const bytes of SIZES) {
    for (const operation of ['seal', 'open'] as const)
      rows.push([`${operation} ${bytes} B`, ...(await compared(all, { operation, bytes, ms: TURN_MS }))]);
  }
  for (const { child } of all) child.disconnect();
  printTable(
    `Sealing and opening, CPU µs a payload (median of ${ROUNDS} interleaved rounds), and how many times ours (median of the rounds)`,
    ['', ...all.map(({ name }) => name)],
    rows,
  );
  await benchCalls();
  await benchStall();
}

/** The machine may be busy with other things: what is compared was measured one after the other in the same round. */
async function compared(all: readonly Contestant[], turn: Turn): Promise<string[]> {
  const rounds: number[][] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    const spent: number[] = [];
    for (const contestant of all) spent.push(await micros(contestant, turn));
    if (round >= WARM_UP_ROUNDS) rounds.push(spent);
  }
  return all.map((_, column) => {
    const cost = median(rounds.map((spent) => spent[column] ?? NaN));
    const times = median(rounds.map((spent) => (spent[column] ?? NaN) / (spent[0] ?? NaN)));
    return column === 0 ? cost.toFixed(1) : `${cost.toFixed(1)} (${times.toFixed(2)} x)`;
  });
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
