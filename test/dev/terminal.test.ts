// What dev mode shows while it starts, and how its tables fit a terminal.
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { linesOf } from '../../src/dev/table.js';
import { paintFor, Steps, type Screen } from '../../src/dev/terminal.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function screen(terminal: { readonly isTTY?: true; readonly columns?: number } = {}) {
  let text = '';
  const stream: Screen = Object.assign(
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        text += chunk.toString();
        done();
      },
    }),
    terminal,
  );
  return { stream, text: () => text };
}

const never = new AbortController().signal;
const plain = (_colour: string, text: string) => text;

async function runFor(ms: number, stream: Screen, signal = never): Promise<void> {
  const work = (say: (text: string) => void) => {
    say('fetching something');
    return new Promise((resolve) => setTimeout(resolve, ms));
  };
  const run = new Steps(stream, plain, signal).run('workers', work, () => 'two');
  await Promise.all([run, vi.advanceTimersByTimeAsync(ms)]);
}

describe('a step', () => {
  test('that takes up to a second is told once it is done', async () => {
    const { stream, text } = screen();
    await runFor(900, stream);
    expect(text()).toBe('  ✓ workers             two\n');
  });

  test('that takes longer is told of while it runs, once where nobody watches', async () => {
    const { stream, text } = screen();
    await runFor(3_000, stream);
    expect(text()).toBe('  … workers             fetching something\n  ✓ workers             two\n');
  });

  test('that takes longer moves on a terminal, within its width, and leaves no trace', async () => {
    const { stream, text } = screen({ isTTY: true, columns: 30 });
    await runFor(3_000, stream);
    const frames = text().split('\r\u001b[2K').slice(1);
    expect(frames.length).toBeGreaterThan(10);
    expect(frames.slice(0, -1).every((frame) => frame.length > 0 && frame.length < 30)).toBe(true);
    expect(frames.at(-1)).toBe('  ✓ workers             two\n');
  });

  test('is not begun after an interruption', async () => {
    const { stream, text } = screen();
    await expect(runFor(1, stream, AbortSignal.abort())).rejects.toThrow('aborted');
    expect(text()).toBe('');
  });
});

describe('colours', () => {
  test('are for terminals whose owner has not switched them off', () => {
    const terminal = screen({ isTTY: true }).stream;
    expect(paintFor(terminal, undefined)('red', 'x')).toBe('\u001b[31mx\u001b[0m');
    expect(paintFor(terminal, '1')('red', 'x')).toBe('x');
    expect(paintFor(screen().stream, undefined)('red', 'x')).toBe('x');
  });
});

describe('a table', () => {
  test('is aligned, and its last column wraps under itself', () => {
    const rows = [['alice', 'a notice that is too long for one line of this width']];
    const { header, rows: lines } = linesOf({ header: ['WHO', 'WHAT'], rows, width: 40 });
    expect([header, ...lines.flat()]).toEqual([
      '  WHO    WHAT',
      '  alice  a notice that is too long for',
      '         one line of this width',
    ]);
  });
});
