// What the files of a record prove: that no line was changed, dropped, added or moved, up to where that is known.
import { follows, objectOf, readLine, type ReadLine } from './chain.js';
import { eachOnce, linesOf } from './lines.js';
import type { Link } from './record.js';

export interface AuditMistake {
  readonly file: string;
  /** From 1; `undefined`: the mistake is about the file as a whole. */
  readonly line: number | undefined;
  /** What is wrong, in lower case; never any of what the line holds. */
  readonly sentence: string;
}

export interface AuditVerdict {
  readonly lines: number;
  readonly chains: number;
  readonly mistakes: readonly AuditMistake[];
  /** What is no mistake, but limits what is proven. */
  readonly notes: readonly string[];
  /** Whether something names the last line of each chain; where nothing does, a note says so. */
  readonly tailsProven: boolean;
}

/** Where a mistake is of no file. */
const RECORD = 'the record';
const NO_LINE = 'is no line of a record';

/** A chain as it was found. */
interface Found {
  readonly file: string;
  readonly id: string;
  readonly after: Link | undefined;
  readonly cause: unknown;
  readonly hashes: string[];
}

/**
 * Reads the files, in any order; several chains in one file are fine, and so is one file under two names.
 *
 * @param checkpoints - lines that are known from elsewhere: each must be there as it was.
 * @param instances - how many servers wrote them, each its own chains: of as many chains nothing is there before.
 * @throws Error of the system for a file that cannot be read.
 */
export async function verifyAudit(
  files: readonly string[],
  checkpoints: readonly Link[] = [],
  instances = 1,
): Promise<AuditVerdict> {
  const verification = new Verification();
  for (const file of await eachOnce(files)) {
    const chains = new ChainReader(file, verification);
    for await (const { bytes, whole } of linesOf(file)) chains.take(bytes, whole);
    chains.end();
  }
  return verification.verdict(checkpoints, instances);
}

/** Follows the chains of one file, line by line. */
class ChainReader {
  readonly #file: string;
  readonly #verification: Verification;
  #line = 0;
  #whole = 0;
  #before: Link | undefined;
  /** The line of `#before`. */
  #beforeAt = 0;
  #chain: Found | undefined;
  #isRecord = false;

  constructor(file: string, verification: Verification) {
    this.#file = file;
    this.#verification = verification;
  }

  take(bytes: Uint8Array, whole: boolean): void {
    this.#line += 1;
    if (!whole) {
      this.#verification.note(`${this.#file} ends in a line that was cut, as a crash does`);
      return;
    }
    this.#whole += 1;
    this.#verification.lines += 1;
    const read = readLine(bytes);
    if (read === undefined) this.#noLine();
    else this.#record(read);
  }

  end(): void {
    if (this.#isRecord) return;
    const sentence = this.#whole > 0 ? 'is no record: none of its lines is one' : 'has no whole line';
    this.#verification.mistake(this.#file, undefined, this.#line === 0 ? 'is empty' : sentence);
  }

  /** Told line by line in a record alone: before its first line nobody knows that it is one. */
  #noLine(): void {
    if (this.#isRecord) this.#mistake(NO_LINE);
  }

  #record(read: ReadLine): void {
    for (let line = 1; !this.#isRecord && line < this.#line; line += 1) this.#mistake(NO_LINE, line);
    this.#isRecord = true;
    if (read.previous === undefined) this.#begin(read);
    else this.#follow(read);
    this.#before = read.link;
    this.#beforeAt = this.#line;
  }

  #begin(read: ReadLine): void {
    const cause = objectOf(read.record['unmapped'])?.['cause'];
    const { chain: id, hash } = read.link;
    this.#chain = { file: this.#file, id, after: read.before, cause, hashes: [hash] };
    if (!this.#verification.found(this.#chain)) this.#mistake(`begins chain ${id}, which was there before`);
  }

  /** After a mistake the next line is taken as it is: each is told once. */
  #follow(read: ReadLine): void {
    const before = this.#before;
    if (before === undefined) this.#mistake('is the first here, but not the first of its chain');
    else if (!follows(before, read)) this.#misfit(before, read);
    this.#chain?.hashes.push(read.link.hash);
  }

  /** Where a line has its place after the other one and the hashes do not fit, mostly the first was changed. */
  #misfit(before: Link, { link }: ReadLine): void {
    if (link.chain === before.chain && link.sequence === before.sequence + 1)
      this.#mistake(`is not the one that line ${this.#line} names`, this.#beforeAt);
    else this.#mistake('does not follow the line before it');
  }

  #mistake(sentence: string, line = this.#line): void {
    this.#verification.mistake(this.#file, line, sentence);
  }
}

/** What was found in all files. */
class Verification {
  lines = 0;
  readonly #chains = new Map<string, Found>();
  readonly #mistakes: AuditMistake[] = [];
  readonly #notes: string[] = [];

  /** Whether the chain is a new one. */
  found(chain: Found): boolean {
    if (this.#chains.has(chain.id)) return false;
    this.#chains.set(chain.id, chain);
    return true;
  }

  mistake(file: string, line: number | undefined, sentence: string): void {
    this.#mistakes.push({ file, line, sentence });
  }

  note(sentence: string): void {
    this.#notes.push(sentence);
  }

  verdict(checkpoints: readonly Link[], instances: number): AuditVerdict {
    this.#judgeFirst(instances);
    this.#judgeSuccessors();
    for (const checkpoint of checkpoints) this.#judgeCheckpoint(checkpoint);
    const tailsProven = this.#judgeTails(checkpoints);
    const { lines } = this;
    return { lines, chains: this.#chains.size, mistakes: this.#mistakes, notes: this.#notes, tailsProven };
  }

  /** One chain of each instance has nothing before it here: the first. Another one means that a file is missing. */
  #judgeFirst(instances: number): void {
    const firsts = [...this.#chains.values()].filter(
      ({ after }) => after === undefined || !this.#chains.has(after.chain),
    );
    for (const { file, after, id } of firsts) {
      const missing =
        after === undefined
          ? `chain ${id} names none before it`
          : `chain ${after.chain}, before chain ${id}, is not here`;
      if (firsts.length > instances) this.mistake(file, undefined, missing);
      else if (after !== undefined) this.note(missing);
    }
    if (firsts.length >= instances || firsts.length === 0) return;
    const begin = firsts.length === 1 ? '1 chain begins' : `${firsts.length} chains begin`;
    this.mistake(RECORD, undefined, `${begin} the record of ${instances} instances`);
  }

  #judgeSuccessors(): void {
    const named = new Set<string>();
    for (const { file, id, after, cause } of this.#chains.values()) {
      const before = after === undefined ? undefined : this.#chains.get(after.chain);
      if (after === undefined || before === undefined) continue;
      if (named.has(before.id)) this.mistake(file, undefined, `chain ${before.id} is followed by two`);
      named.add(before.id);
      if (before.hashes[after.sequence] !== after.hash) {
        this.mistake(before.file, undefined, `does not end as chain ${id} says that it does`);
      } else this.#judgeRest(before, after, cause);
    }
  }

  /** A write that failed may have left lines that nobody was answered for. */
  #judgeRest(before: Found, { sequence }: Link, cause: unknown): void {
    const rest = before.hashes.length - 1 - sequence;
    if (rest === 0) return;
    const lines = rest === 1 ? 'line is' : `${rest} lines are`;
    const follow = rest === 1 ? '1 line follows' : `${rest} lines follow`;
    if (cause === 'failure') this.note(`${before.file}: its last ${lines} of a write that failed`);
    else this.mistake(before.file, undefined, `${follow} the one that was its last`);
  }

  #judgeCheckpoint({ chain, sequence, hash }: Link): void {
    const found = this.#chains.get(chain);
    if (found === undefined) {
      this.mistake(RECORD, undefined, `chain ${chain} is missing: a checkpoint names its line ${sequence}`);
      return;
    }
    const line = `line ${sequence} of chain ${chain}`;
    const there = found.hashes[sequence];
    if (there === undefined) this.mistake(found.file, undefined, `${line} is missing: a checkpoint names it`);
    else if (there !== hash) this.mistake(found.file, undefined, `${line} is not what the checkpoint says`);
  }

  /**
   * What comes after the last line that something else names is proven by nothing. A process knows where its own chain
   * ended; at a start it takes what lies there for the end, and nobody watched it until then.
   *
   * @returns whether every tail is proven.
   */
  #judgeTails(checkpoints: readonly Link[]): boolean {
    let proven = true;
    const known = [...this.#chains.values()].filter(({ cause }) => cause !== 'start');
    const afters = known.map(({ after }) => after);
    for (const { id, hashes } of this.#chains.values()) {
      const proofs = [...afters, ...checkpoints].filter((link) => link?.chain === id);
      const last = Math.max(-1, ...proofs.map((link) => link?.sequence ?? -1));
      if (last >= hashes.length - 1) continue;
      proven = false;
      const from = last < 0 ? 'tail not proven' : `tail not proven after line ${last}`;
      this.note(`${from}: only a checkpoint shows that nothing is missing at the end of chain ${id}`);
    }
    return proven;
  }
}
