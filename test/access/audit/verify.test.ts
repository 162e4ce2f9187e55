// What a record proves of itself, and against a checkpoint that somebody else kept.
import { link, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AuditChain, follows, readLine } from '../../../src/access/audit/chain.js';
import { checkpointText, parseCheckpoint } from '../../../src/access/audit/checkpoints.js';
import {
  configurationRecord,
  gapRecord,
  requestRecord,
  startRecord,
  type AuditRecord,
  type ChainCause,
  type Link,
} from '../../../src/access/audit/record.js';
import { auditReport } from '../../../src/access/audit/report.js';
import { verifyAudit, type AuditVerdict } from '../../../src/access/audit/verify.js';
import { visitRecord } from '../../../src/access/audit/visit-record.js';
import { auditEvent, visit, WRITER } from './events.js';

const LINES = 10_000;
const NOW = Date.parse('2026-11-24T12:00:00Z');

/** Pairs of distant lines that are swapped in a whole file; 20 times as many with KEYHOLE_STRESS set. */
const SWAPPED_FILES = process.env['KEYHOLE_STRESS'] === undefined ? 5 : 100;

/** Mostly requests, and now and then one of what else a chain may hold. */
function recordOf(index: number): AuditRecord {
  switch (index % 10) {
    case 3:
      return visitRecord(visit(index % 20 === 3 ? 'sign-in' : 'look', { requestId: `r${index}` }), NOW);
    case 5:
      return gapRecord({ refused: index, sinceMs: NOW }, NOW);
    case 7:
      return configurationRecord(String(index), NOW);
    default:
      return requestRecord(auditEvent(`r${index}`), NOW);
  }
}

interface Written {
  readonly lines: readonly Buffer[];
  readonly links: readonly Link[];
}

function chainOf(count: number, after?: Link, cause: ChainCause = 'start'): Written {
  const chain = new AuditChain();
  const records = [startRecord({ ...WRITER, cause, after }, NOW)];
  for (let index = 1; index < count; index += 1) records.push(recordOf(index));
  const links: Link[] = [];
  const lines = records.map((record) => {
    const line = chain.lines([record]);
    if (chain.last !== undefined) links.push(chain.last);
    return line.subarray(0, -1);
  });
  return { lines, links };
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyhole-verify-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function verify(
  texts: readonly Buffer[],
  checkpoints: readonly Link[] = [],
  instances = 1,
): Promise<AuditVerdict> {
  const files = texts.map((_text, index) => join(directory, `${index}.ndjson`));
  await Promise.all(texts.map((text, index) => writeFile(files[index] ?? '', text)));
  return verifyAudit(files, checkpoints, instances);
}

function textOf(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
}

function at<T>(items: readonly T[], index: number): T {
  const item = items.at(index);
  if (item === undefined) throw new Error(`there is no ${index}`);
  return item;
}

const sentences = ({ mistakes }: AuditVerdict): string[] => mistakes.map(({ sentence }) => sentence);

/** Numbers from 0 to 1 that are the same in each run (Park and Miller's generator). */
function* fixedNumbers(): Generator<number, never> {
  for (let state = 20261124; ;) {
    state = (state * 48_271) % 2_147_483_647;
    yield state / 2_147_483_647;
  }
}

describe('a log of 10,000 lines', () => {
  const { lines, links } = chainOf(LINES);
  /** Whether `line` is accepted after the line at `index - 1`. */
  const accepted = (line: Uint8Array, index: number): boolean => {
    const read = readLine(line);
    return read !== undefined && follows(at(links, index - 1), read);
  };

  test('is accepted as it is, each line after the one before it', async () => {
    expect(lines.every((line, index) => index === 0 || accepted(line, index))).toBe(true);
    const verdict = await verify([textOf(lines)], [at(links, -1)]);
    expect(verdict).toEqual({ lines: LINES, chains: 1, mistakes: [], notes: [], tailsProven: true });
  });

  test('shows every deletion: no line is accepted after the one before its predecessor', () => {
    const unseen = lines.filter((line, index) => index > 1 && accepted(line, index - 1));
    expect(unseen).toHaveLength(0);
  });

  test('shows every swap of neighbours, and every doubled line', () => {
    const swapped = lines.filter(
      (_line, index) => index > 0 && index + 1 < LINES && accepted(at(lines, index + 1), index),
    );
    const doubled = lines.filter(
      (line, index) => index > 0 && index + 1 < LINES && accepted(line, index + 1),
    );
    expect([swapped.length, doubled.length]).toEqual([0, 0]);
  });

  /** Two places, the second at least two after the first. */
  function* distantPairs(count: number): Generator<readonly [first: number, second: number]> {
    const random = fixedNumbers();
    for (let round = 0; round < count; round += 1) {
      const first = 1 + Math.floor(random.next().value * (LINES - 3));
      yield [first, first + 2 + Math.floor(random.next().value * (LINES - first - 2))];
    }
  }

  test('shows 10,000 swaps of distant lines: neither is accepted in the place of the other', () => {
    const unseen = [...distantPairs(10_000)].filter(
      ([first, second]) => accepted(at(lines, second), first) || accepted(at(lines, first), second),
    );
    expect(unseen).toEqual([]);
  });

  test('in a file shows a swap of distant lines by the number of the first', async () => {
    for (const [first, second] of distantPairs(SWAPPED_FILES)) {
      const swapped = [...lines];
      [swapped[first], swapped[second]] = [at(lines, second), at(lines, first)];
      const { mistakes } = await verify([textOf(swapped)]);
      expect(mistakes.map(({ line }) => line)).toEqual(
        expect.arrayContaining([first + 1, first + 2, second + 1]),
      );
    }
  });

  test('shows 10,000 changed bits, each in the line itself or in the one after it', () => {
    const random = fixedNumbers();
    for (let round = 0; round < 10_000; round += 1) {
      const index = 1 + Math.floor(random.next().value * (LINES - 2));
      const changed = Buffer.from(at(lines, index));
      const byte = Math.floor(random.next().value * changed.length);
      changed[byte] = (changed[byte] ?? 0) ^ (1 << Math.floor(random.next().value * 8));
      const read = readLine(changed);
      const next = readLine(at(lines, index + 1));
      const unseen =
        read !== undefined &&
        next !== undefined &&
        follows(at(links, index - 1), read) &&
        follows(read.link, next);
      expect(unseen, `line ${index}, byte ${byte}`).toBe(false);
    }
  });
});

describe('a file', () => {
  const { lines, links } = chainOf(60);
  const text = textOf(lines);

  test('shows each deletion, swap and doubled line by the number of the line', async () => {
    for (let index = 1; index < lines.length - 1; index += 1) {
      const without = [...lines.slice(0, index), ...lines.slice(index + 1)];
      const swapped = [
        ...lines.slice(0, index),
        at(lines, index + 1),
        at(lines, index),
        ...lines.slice(index + 2),
      ];
      const doubled = [...lines.slice(0, index + 1), ...lines.slice(index)];
      expect((await verify([textOf(without)])).mistakes[0]?.line).toBe(index + 1);
      expect((await verify([textOf(swapped)])).mistakes[0]?.line).toBe(index + 1);
      expect((await verify([textOf(doubled)])).mistakes[0]?.line).toBe(index + 2);
    }
  });

  test('shows any changed bit, with the checkpoint of its last line', async () => {
    const random = fixedNumbers();
    for (let round = 0; round < 1_000; round += 1) {
      const changed = Buffer.from(text);
      const byte = Math.floor(random.next().value * text.length);
      changed[byte] = (changed[byte] ?? 0) ^ (1 << Math.floor(random.next().value * 8));
      const { mistakes } = await verify([changed], [at(links, -1)]);
      expect(mistakes, `byte ${byte}`).not.toEqual([]);
    }
  });

  test('of which a line was changed says so at that line, and that the next one names another', async () => {
    const changed = Buffer.from(at(lines, 29).toString().replace('r29', 'x29'));
    const { mistakes } = await verify([textOf([...lines.slice(0, 29), changed, ...lines.slice(30)])]);
    expect(mistakes).toMatchObject([{ line: 30, sentence: 'is not the one that line 31 names' }]);
  });

  test('without a checkpoint has a tail that is not proven, and that is said', async () => {
    const verdict = await verify([textOf(lines.slice(0, 40))]);
    expect(verdict.mistakes).toEqual([]);
    expect(verdict.notes).toEqual([expect.stringMatching(/^tail not proven/)]);
    expect(verdict.tailsProven).toBe(false);
  });

  test('whose tail was cut is found against the checkpoint, and so is one cut before it', async () => {
    const cut = textOf(lines.slice(0, 40));
    expect(sentences(await verify([cut], [at(links, 40)]))).toEqual([
      `line 40 of chain ${at(links, 40).chain} is missing: a checkpoint names it`,
    ]);
    const before = await verify([cut], [at(links, 39)]);
    expect(before).toMatchObject({ mistakes: [], notes: [] });
    expect((await verify([cut], [at(links, 30)])).notes).toEqual([
      expect.stringMatching(/^tail not proven after line 30/),
    ]);
  });

  test('that was written anew as a whole is found against the checkpoint', async () => {
    const forged = chainOf(60);
    expect((await verify([textOf(forged.lines)])).mistakes).toEqual([]);
    expect(sentences(await verify([textOf(forged.lines)], [at(links, -1)]))).toEqual([
      `chain ${at(links, -1).chain} is missing: a checkpoint names its line 59`,
    ]);
  });

  test('whose head was cut does not begin a chain', async () => {
    expect(sentences(await verify([textOf(lines.slice(1))]))).toContain(
      'is the first here, but not the first of its chain',
    );
  });

  test('that ends in half a line is what a crash leaves', async () => {
    const torn = Buffer.concat([text, Buffer.from('{"time":1')]);
    const verdict = await verify([torn], [at(links, -1)]);
    expect(verdict).toMatchObject({ lines: 60, mistakes: [], notes: [expect.stringContaining('was cut')] });
  });

  test('with anything else in it says which line, and nothing of what it holds', async () => {
    const secret = Buffer.from('{"password":"hunter2"}');
    const verdict = await verify([textOf([...lines.slice(0, 9), secret, ...lines.slice(9)])]);
    expect(verdict.mistakes).toMatchObject([{ line: 10, sentence: 'is no line of a record' }]);
    expect(JSON.stringify(verdict)).not.toContain('hunter2');
  });

  test('of which no line is one of a record says so once', async () => {
    const other = Buffer.from('listen: here\nkeys:\n');
    expect((await verify([other])).mistakes).toMatchObject([
      { line: undefined, sentence: 'is no record: none of its lines is one' },
    ]);
    expect((await verify([Buffer.concat([other, text])])).mistakes).toMatchObject([{ line: 1 }, { line: 2 }]);
  });

  test('under two names is one file', async () => {
    const file = join(directory, 'record.ndjson');
    await writeFile(file, text);
    await link(file, `${file}.1`);
    const verdict = await verifyAudit([file, `${file}.1`], links.slice(-1));
    expect(verdict).toMatchObject({ lines: 60, chains: 1, mistakes: [], notes: [] });
    expect((await auditReport([file, `${file}.1`], { by: 'person', sinceMs: 0 })).rows).toEqual(
      (await auditReport([file], { by: 'person', sinceMs: 0 })).rows,
    );
  });

  test('of any length of line is read in bounded memory', async () => {
    const verdict = await verify([Buffer.alloc(5_000_000, 'x')]);
    expect(verdict.mistakes.length).toBeGreaterThan(0);
  });

  test('whose first line names what no chain can be called shows it, and none of that is told', async () => {
    const sequence = 4;
    const bad: Link[] = [
      { chain: '\u{1b}[2K\nnothing was changed', sequence, hash: 'a'.repeat(64) },
      { chain: 'a'.repeat(24), sequence: -1, hash: 'a'.repeat(64) },
      { chain: 'a'.repeat(24), sequence, hash: 'nothing was changed' },
    ];
    for (const after of bad) {
      const verdict = await verify([textOf(chainOf(3, after).lines)]);
      expect(verdict.mistakes[0]).toMatchObject({ line: 1, sentence: 'is no line of a record' });
      expect(JSON.stringify(verdict)).not.toContain('nothing was changed');
    }
  });

  test('that is empty, not there, or less than one line, is not taken for a record', async () => {
    expect(sentences(await verify([Buffer.alloc(0)]))).toEqual(['is empty']);
    expect(sentences(await verify([Buffer.from('{"time":1')]))).toEqual(['has no whole line']);
    await expect(verifyAudit([join(directory, 'none')])).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('several files', () => {
  const first = chainOf(5);
  const second = chainOf(5, at(first.links, -1));
  const third = chainOf(5, at(second.links, -1));
  const texts = [first, second, third].map(({ lines }) => textOf(lines));

  test('prove each other in any order', async () => {
    const verdict = await verify([at(texts, 2), at(texts, 0), at(texts, 1)]);
    expect(verdict).toMatchObject({ lines: 15, chains: 3, mistakes: [] });
  });

  test('of one process prove each other’s tails, and all but the last', async () => {
    const reopened = chainOf(3, at(first.links, -1), 'reopen');
    const failed = chainOf(3, at(reopened.links, -1), 'failure');
    const { notes } = await verify([first, reopened, failed].map(({ lines }) => textOf(lines)));
    expect(notes).toEqual([expect.stringContaining(at(failed.links, 0).chain)]);
  });

  test('of several starts leave a tail to prove at each: nobody watched the file in between', async () => {
    const tail = first.links.slice(0, 3);
    const cut = [textOf(first.lines.slice(0, 3)), textOf(chainOf(5, at(tail, -1)).lines)];
    expect((await verify(cut)).notes).toHaveLength(2);
    expect((await verify(texts)).notes).toHaveLength(3);
    expect(sentences(await verify(cut, [at(first.links, -1)]))).toHaveLength(1);
    const ends = [first, second, third].map(({ links }) => at(links, -1));
    expect((await verify(texts, ends)).notes).toEqual([]);
  });

  test('may stand in one, as a collector keeps them', async () => {
    expect(await verify([Buffer.concat(texts)])).toMatchObject({ chains: 3, mistakes: [] });
  });

  test('of which the middle one is missing show it', async () => {
    expect(sentences(await verify([at(texts, 0), at(texts, 2)]))).not.toEqual([]);
  });

  test('without the oldest are proven from there on, and that is said', async () => {
    const verdict = await verify(texts.slice(1));
    expect(verdict.mistakes).toEqual([]);
    expect(verdict.notes[0]).toContain(`chain ${at(first.links, 0).chain}`);
  });

  test('of which one lost its last lines, or got further ones, show it', async () => {
    const cut = textOf(first.lines.slice(0, 3));
    expect(sentences(await verify([cut, ...texts.slice(1)]))).toEqual([
      expect.stringContaining('does not end as chain'),
    ]);
    const early = chainOf(3, at(first.links, 2));
    expect(sentences(await verify([at(texts, 0), textOf(early.lines)]))).toEqual([
      '2 lines follow the one that was its last',
    ]);
    const later = chainOf(3, at(first.links, 3));
    expect(sentences(await verify([at(texts, 0), textOf(later.lines)]))).toEqual([
      '1 line follows the one that was its last',
    ]);
  });

  test('of which one could not be written on may have lines that nobody was answered for', async () => {
    const after = chainOf(3, at(first.links, 2), 'failure');
    const verdict = await verify([at(texts, 0), textOf(after.lines)]);
    expect(verdict.mistakes).toEqual([]);
    expect(verdict.notes[0]).toContain('its last 2 lines are of a write that failed');
    const later = chainOf(3, at(first.links, 3), 'failure');
    const { notes } = await verify([at(texts, 0), textOf(later.lines)]);
    expect(notes[0]).toContain('its last line is of a write that failed');
  });

  test('of which two claim to follow the same one show it', async () => {
    const other = chainOf(2, at(first.links, -1));
    expect(sentences(await verify([...texts, textOf(other.lines)]))).toEqual([
      expect.stringContaining('is followed by two'),
    ]);
  });

  test('of which one is there twice show it', async () => {
    expect(sentences(await verify([at(texts, 0), at(texts, 0)]))).toEqual([
      expect.stringContaining('which was there before'),
    ]);
  });
});

describe('the files of several instances', () => {
  const [one, other] = [chainOf(4), chainOf(4)];
  const later = chainOf(4, at(one.links, -1));
  const texts = [one, other, later].map(({ lines }) => textOf(lines));

  test('are proven together, once it is said how many there were', async () => {
    expect(await verify(texts, [], 2)).toMatchObject({ chains: 3, mistakes: [] });
    expect(sentences(await verify(texts))).toHaveLength(2);
  });

  test('of which one more begins than there were show it', async () => {
    const third = textOf(chainOf(4).lines);
    expect(sentences(await verify([...texts, third], [], 2))).toHaveLength(3);
  });

  test('of which one left nothing show it', async () => {
    expect(sentences(await verify(texts, [], 3))).toEqual(['2 chains begin the record of 3 instances']);
  });
});

test('a checkpoint is one word, there and back', () => {
  const link = at(chainOf(3).links, -1);
  expect(parseCheckpoint(checkpointText(link))).toEqual(link);
  for (const text of ['', 'a:1:b', `${checkpointText(link)} `, checkpointText(link).toUpperCase()]) {
    expect(parseCheckpoint(text)).toBeUndefined();
  }
});
