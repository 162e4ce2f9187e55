// A contender in a process of its own: seals and opens when it is asked, and answers what a payload cost.
import type { Payload } from '@temporalio/common';
import { encryptionSdk, floor, keyhole, sample, type Contender } from './contenders.js';

/** One turn: so many calls of one operation on a payload of this size. */
export interface Turn {
  readonly operation: 'seal' | 'open';
  readonly bytes: number;
  readonly ms: number;
}

const MAKERS: Record<string, () => Promise<Contender> | Contender | undefined> = {
  keyhole,
  floor,
  sample,
  encryptionSdk,
};

/**
 * CPU time of this process for one call, in microseconds, over `ms` milliseconds of calls: its threads and its
 * garbage collection are part of it.
 */
async function cpuMicros(work: () => Promise<unknown>, ms: number): Promise<number> {
  const endMs = performance.now() + ms;
  const before = process.cpuUsage();
  let count = 0;
  for (; count % 16 !== 0 || performance.now() < endMs; count++) await work();
  const spent = process.cpuUsage(before);
  return (spent.user + spent.system) / count;
}

const contender = await MAKERS[process.argv[2] ?? '']?.();
const sealedOf = new Map<number, unknown>();

async function take({ operation, bytes, ms }: Turn): Promise<number> {
  const payload: Payload = {
    metadata: { encoding: Buffer.from('json/plain') },
    data: Buffer.alloc(bytes, 'a'),
  };
  if (contender === undefined) throw new Error('no such contender');
  const sealed = sealedOf.get(bytes) ?? (await contender.seal(payload));
  sealedOf.set(bytes, sealed);
  return cpuMicros(() => (operation === 'seal' ? contender.seal(payload) : contender.open(sealed)), ms);
}

process.on('message', (turn: Turn) => {
  void take(turn).then((micros) => process.send?.(micros));
});
process.send?.(contender?.name ?? '');
