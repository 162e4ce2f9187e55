// What goes wrong around a running server, one after the other, and how it is put right.
import { execFileSync } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import type { Random } from '../access/random.js';
import { FAULTS, type FaultProxy } from '../faults/fault-proxy.js';
import type { Behaviour } from '../parts/cloud-operations.js';

export interface Disturbance {
  readonly name: string;
  begin(): unknown;
  end(): unknown;
}

/** Every way in which a network fails. */
export function ofNetwork(what: string, proxy: FaultProxy): Disturbance[] {
  return FAULTS.map((fault) => ({
    name: `${what}: ${fault}`,
    begin: () => proxy.break(fault),
    end: () => proxy.repair(),
  }));
}

/** The Operations API answers, but not what is asked. */
export function ofRefusals(behaviour: Behaviour): Disturbance[] {
  return (['UNAUTHENTICATED', 'RESOURCE_EXHAUSTED', 'INTERNAL'] as const).map((code) => ({
    name: `the Operations API: ${code}`,
    begin: () => (behaviour.refusal = { code: status[code] }),
    end: () => (behaviour.refusal = undefined),
  }));
}

/** A process that stands still with all its connections open. */
export function ofProcess(what: string, pid: number): Disturbance {
  return {
    name: `${what}: paused`,
    begin: () => process.kill(pid, 'SIGSTOP'),
    end: () => process.kill(pid, 'SIGCONT'),
  };
}

/** A small file system of its own, which is made so small that it is full. Only root can. */
export class SmallDisk {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  static get possible(): boolean {
    return process.getuid?.() === 0;
  }

  mount(): void {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1g', 'tmpfs', this.#path]);
  }

  unmount(): void {
    execFileSync('umount', ['-l', this.#path]);
  }

  /** But for the page that is begun and a few more. */
  disturbance(): Disturbance {
    return {
      name: 'the disk of the record: full',
      begin: async () => {
        const { blocks, bfree, bsize } = await statfs(this.#path);
        this.#resize(`${(blocks - bfree + 2) * bsize}`);
      },
      end: () => {
        this.#resize('1g');
      },
    };
  }

  #resize(size: string): void {
    execFileSync('mount', ['-o', `remount,size=${size}`, this.#path]);
  }
}

/** A new array of them in an order of chance. */
export function shuffled<T>(random: Random, values: readonly T[]): T[] {
  const left = [...values];
  return values.flatMap(() => left.splice(random(left.length), 1));
}
