// Room on the record's disk that is kept for requests that were allowed.
import { statfs } from 'node:fs/promises';
import type { Clock } from './clock.js';

/** What of `statfs` is used. */
export interface DiskSpace {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
}

export interface DiskReserveOptions {
  readonly clock: Clock;
  /** Default is the file system's. A seam for tests. */
  readonly spaceOf?: (path: string) => Promise<DiskSpace>;
}

/** At most half of the disk. */
const RESERVE_BYTES = 64 * 1024 * 1024;
/** How long an answer holds. */
const FRESH_MS = 1_000;

export class DiskReserve {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #spaceOf: (path: string) => Promise<DiskSpace>;
  #asked: { readonly atMs: number; readonly hasRoom: Promise<boolean> } | undefined;

  constructor(path: string, { clock, spaceOf = statfs }: DiskReserveOptions) {
    this.#path = path;
    this.#clock = clock;
    this.#spaceOf = spaceOf;
  }

  /** Whether there is room beyond the reserve. Where nothing can be asked there is: the write then shows what is wrong. */
  hasRoom(): Promise<boolean> {
    const nowMs = this.#clock.monotonic();
    if (this.#asked === undefined || nowMs - this.#asked.atMs >= FRESH_MS)
      this.#asked = { atMs: nowMs, hasRoom: this.#ask() };
    return this.#asked.hasRoom;
  }

  async #ask(): Promise<boolean> {
    try {
      const { bsize, blocks, bavail } = await this.#spaceOf(this.#path);
      return bavail * bsize > Math.min(RESERVE_BYTES, (blocks * bsize) / 2);
    } catch {
      return true;
    }
  }
}
