// Lines of which each carries the hash of the one before, so that none can be changed, dropped, added or moved unseen.
import { hash, randomBytes } from 'node:crypto';
import type { AuditRecord, Link } from './record.js';

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
  #line(record: AuditRecord): string {
    const sequence = this.#last === undefined ? 0 : this.#last.sequence + 1;
    record.metadata['sequence'] = sequence;
    record.unmapped['chain'] = { id: this.id, previous: this.#last?.hash ?? null };
    const line = JSON.stringify(record);
    this.#last = { chain: this.id, sequence, hash: hash('sha256', line) };
    return `${line}\n`;
  }
}

/** A line that was read back, whatever came before it. */
export interface ReadLine {
  readonly link: Link;
  /** The hash that it carries; `undefined`: it is the first of its chain. */
  readonly previous: string | undefined;
  /** What a chain's first line says was before it; `undefined`: nothing, or it is no first line. */
  readonly before: Link | undefined;
  readonly record: Readonly<Record<string, unknown>>;
}

/** `undefined` for what is no line of a chain: torn, or written by something else. */
export function readLine(line: Uint8Array): ReadLine | undefined {
  const record = objectOf(parsed(line));
  const sequence = objectOf(record?.['metadata'])?.['sequence'];
  const chain = objectOf(objectOf(record?.['unmapped'])?.['chain']);
  const previous = chain?.['previous'];
  const link = linkOf({ chain: chain?.['id'], sequence, hash: hash('sha256', line) });
  if (record === undefined || link === undefined) return undefined;
  if (previous !== null && typeof previous !== 'string') return undefined;
  if ((previous === null) !== (link.sequence === 0)) return undefined;
  const after = objectOf(record['unmapped'])?.['after'] ?? undefined;
  const before = linkOf(objectOf(after));
  if (after !== undefined && before === undefined) return undefined;
  return { link, previous: previous ?? undefined, before, record };
}

/** Whether a line follows another in one chain. */
export function follows(before: Link, { link, previous }: ReadLine): boolean {
  return link.chain === before.chain && link.sequence === before.sequence + 1 && previous === before.hash;
}

/** `undefined` for what names no line that a chain could have. */
function linkOf(named: Readonly<Record<string, unknown>> | undefined): Link | undefined {
  const { chain, sequence, hash: text } = named ?? {};
  if (typeof chain !== 'string' || !/^[0-9a-f]{24}$/.test(chain)) return undefined;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0) return undefined;
  if (typeof text !== 'string' || !/^[0-9a-f]{64}$/.test(text)) return undefined;
  return { chain, sequence, hash: text };
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
