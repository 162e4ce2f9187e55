// Room on the record's disk that is kept for requests that were allowed.
import { statfs } from 'node:fs/promises';
import { untilAborted } from '../../aborting.js';
import type { Clock } from '../../clock.js';

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
  /** How long the file system may take to answer. Default is 1 s. */
  readonly deadlineMs?: number;
}

/** At most half of the disk. */
const RESERVE_BYTES = 64 * 1024 * 1024;
/** How long an answer holds: too short for refusals to fill the reserve of a disk of a few MiB. */
const FRESH_MS = 100;

export class DiskReserve {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #spaceOf: (path: string) => Promise<DiskSpace>;
  readonly #deadlineMs: number;
  /** A disk that hangs holds a thread until it answers, of which Node has four: it is asked once. */
  #isAsked = false;
  #answer: { readonly atMs: number; readonly hasRoom: Promise<boolean> } | undefined;

  constructor(path: string, { clock, spaceOf = statfs, deadlineMs = 1_000 }: DiskReserveOptions) {
    this.#path = path;
    this.#clock = clock;
    this.#spaceOf = spaceOf;
    this.#deadlineMs = deadlineMs;
  }

  /**
   * Whether there is room beyond the reserve. Where nothing can be asked, or no answer comes, there is: the write then
   * shows what is wrong.
   */
  hasRoom(): Promise<boolean> {
    const nowMs = this.#clock.monotonic();
    const answer = this.#answer;
    if (answer !== undefined && (this.#isAsked || nowMs - answer.atMs < FRESH_MS)) return answer.hasRoom;
    const hasRoom = this.#ask();
    this.#answer = { atMs: nowMs, hasRoom };
    return hasRoom;
  }

  #ask(): Promise<boolean> {
    this.#isAsked = true;
    const asked = this.#measure().finally(() => (this.#isAsked = false));
    const late = AbortSignal.timeout(this.#deadlineMs);
    return untilAborted(asked, late, () => new Error('late')).catch(() => true);
  }

  async #measure(): Promise<boolean> {
    const { bsize, blocks, bavail } = await this.#spaceOf(this.#path);
    return bavail * bsize > Math.min(RESERVE_BYTES, (blocks * bsize) / 2);
  }
}
