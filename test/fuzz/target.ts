// What is fuzzed: inputs one after another, each from a number that makes it come again.
import { randomFrom, type Random } from '../access/random.js';

export interface FuzzTarget {
  readonly name: string;
  /** Inputs of a full run (strength.md §4). */
  readonly full: number;
  /** Of those, as many as CI has time for. */
  readonly inCi: number;
  readonly open: () => Promise<FuzzRun>;
}

export interface FuzzRun {
  /** Tries one input. Rejects for what the model did not predict. */
  try(random: Random): Promise<void>;
  close(): Promise<void>;
}

export interface FuzzPlan {
  readonly seed: number;
  /** Number of the first input. Default is 0. */
  readonly from?: number;
  /** Whether another input is tried. */
  readonly goesOn: (tried: number) => boolean;
}

/** Processor time of one input beyond which other callers would have noticed. */
const STALL_US = 1_000_000;

/**
 * Answers how many inputs were tried.
 *
 * @throws Error for the first crash: an untyped error, an outcome that was not predicted, or a stall. It says how to
 * make it come again.
 */
export async function fuzz(
  { name, open }: FuzzTarget,
  { seed, from = 0, goesOn }: FuzzPlan,
): Promise<number> {
  const run = await open();
  let tried = 0;
  try {
    for (; goesOn(tried); tried += 1) {
      const before = process.cpuUsage();
      await run.try(randomFrom(seed + (from + tried) * 7_919));
      const { user, system } = process.cpuUsage(before);
      if (user + system > STALL_US) throw new Error(`took ${(user + system) / 1_000} ms of the processor`);
    }
    return tried;
  } catch (cause) {
    const again = `npm run fuzz -- --only ${name} --seed ${seed} --from ${from + tried}`;
    throw new Error(`${name}: ${cause instanceof Error ? cause.message : String(cause)}; again: ${again}`, {
      cause,
    });
  } finally {
    await run.close();
  }
}
