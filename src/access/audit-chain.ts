// Lines of which each carries the hash of the one before, so that none can be changed, dropped, added or moved unseen.
import { hash, randomBytes } from 'node:crypto';
import type { AuditRecord, Link } from './audit-record.js';

/** One chain, as it is written. */
export class AuditChain {
  readonly id: string = randomBytes(12).toString('hex');
  #last: Link | undefined;

  /** The last line that was made; `undefined` before the first. */
  get last(): Link | undefined {
    return this.#last;
  }

  /** The records as the chain's next lines, each with its newline. */
  lines(records: readonly AuditRecord[]): Buffer {
    return Buffer.from(records.map((record) => this.#line(record)).join(''));
  }

  /** Whoever reads lines splits at newlines only: JSON.stringify escapes every one inside. */
  #line({ metadata, unmapped, ...attributes }: AuditRecord): string {
    const sequence = this.#last === undefined ? 0 : this.#last.sequence + 1;
    const chain = { id: this.id, previous: this.#last?.hash ?? null };
    const line = JSON.stringify({
      ...attributes,
      metadata: { ...metadata, sequence },
      unmapped: { ...unmapped, chain },
    });
    this.#last = { chain: this.id, sequence, hash: hash('sha256', line) };
    return `${line}\n`;
  }
}

/** A line that was read back, whatever came before it. */
export interface ReadLine {
  readonly link: Link;
  /** The hash that it carries; `undefined`: it is the first of its chain. */
  readonly previous: string | undefined;
  readonly record: Readonly<Record<string, unknown>>;
}

/** `undefined` for what is no line of a chain: torn, or written by something else. */
export function readLine(line: Uint8Array): ReadLine | undefined {
  const record = objectOf(parsed(line));
  const sequence = objectOf(record?.['metadata'])?.['sequence'];
  const chain = objectOf(objectOf(record?.['unmapped'])?.['chain']);
  const id = chain?.['id'];
  const previous = chain?.['previous'];
  if (record === undefined || typeof id !== 'string' || !/^[0-9a-f]{24}$/.test(id)) return undefined;
  if (!Number.isSafeInteger(sequence) || (sequence as number) < 0) return undefined;
  if (previous !== null && typeof previous !== 'string') return undefined;
  if ((previous === null) !== (sequence === 0)) return undefined;
  const link = { chain: id, sequence: sequence as number, hash: hash('sha256', line) };
  return { link, previous: previous ?? undefined, record };
}

/** Whether a line follows another in one chain. */
export function follows(before: Link, { link, previous }: ReadLine): boolean {
  return link.chain === before.chain && link.sequence === before.sequence + 1 && previous === before.hash;
}

/** What a chain's first line says was before it; `undefined`: nothing, or it is no first line. */
export function linkBefore({ record }: ReadLine): Link | undefined {
  const after = objectOf(objectOf(record['unmapped'])?.['after']);
  const { chain, sequence, hash: named } = after ?? {};
  if (typeof chain !== 'string' || typeof sequence !== 'number' || typeof named !== 'string')
    return undefined;
  return { chain, sequence, hash: named };
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

function parsed(line: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    return undefined;
  }
}
