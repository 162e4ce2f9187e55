// What dev mode says on a terminal: steps with a spinner once they take long, colours where they are wanted.
import type { Writable } from 'node:stream';

const SLOW_MS = 1_000;
const FRAME_MS = 120;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const CLEAR_LINE = '\r\u001b[2K';

/** What we use of a terminal's stream. */
export type Screen = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export type Colour = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';
const CODES: Readonly<Record<Colour, string>> = {
  bold: '1',
  dim: '2',
  green: '32',
  red: '31',
  yellow: '33',
  cyan: '36',
};

export type Paint = (colour: Colour, text: string) => string;

/** Colours on a terminal, unless `NO_COLOR` is set (no-color.org); plain text elsewhere. */
export function paintFor(screen: Screen, noColor: string | undefined): Paint {
  if (screen.isTTY !== true || (noColor !== undefined && noColor !== '')) return (_colour, text) => text;
  return (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[0m`;
}

/** How many characters a line may have; elsewhere than on a terminal as many as it likes. */
export function widthOf(screen: Screen): number {
  return screen.isTTY === true ? (screen.columns ?? 80) : Number.POSITIVE_INFINITY;
}

const NAME_WIDTH = 20;

interface Progress {
  /** What is being done just now. */
  text: string;
  stop(): void;
}

/** The steps of a start, told on stderr. */
export class Steps {
  readonly #screen: Screen;
  readonly #paint: Paint;
  readonly #signal: AbortSignal;

  constructor(screen: Screen, paint: Paint, signal: AbortSignal) {
    this.#screen = screen;
    this.#paint = paint;
    this.#signal = signal;
  }

  /**
   * Runs a step; while it takes more than a second, says so. `done` makes the text behind the name, e.g. an address.
   *
   * @throws what `work` does, and the signal’s reason where it was aborted before.
   */
  async run<T>(
    name: string,
    work: (say: (text: string) => void) => Promise<T>,
    done: (result: T) => string,
  ): Promise<T> {
    this.#signal.throwIfAborted();
    const progress = this.#progress(name);
    let result: T;
    try {
      result = await work((text) => {
        progress.text = text;
      });
    } finally {
      progress.stop();
    }
    this.#line(`${this.#paint('green', '✓')} ${name.padEnd(NAME_WIDTH)}${this.#paint('dim', done(result))}`);
    return result;
  }

  /** A part that cannot be had, or something to know: one sentence. */
  note(name: string, sentence: string): void {
    this.#line(`${this.#paint('yellow', '!')} ${name.padEnd(NAME_WIDTH)}${sentence}`);
  }

  /** A plain line. */
  say(text: string): void {
    this.#screen.write(`${text}\n`);
  }

  #line(text: string): void {
    this.#screen.write(`  ${text}\n`);
  }

  #progress(name: string): Progress {
    const startedMs = performance.now();
    const isTerminal = this.#screen.isTTY === true;
    let frame = 0;
    let told = '';
    let ticker: NodeJS.Timeout | undefined;
    const show = () => {
      const text = `${name.padEnd(NAME_WIDTH)}${progress.text}`.trimEnd();
      if (isTerminal) {
        const seconds = Math.floor((performance.now() - startedMs) / 1000);
        const line = `  ${FRAMES[(frame += 1) % FRAMES.length] ?? ''} ${text} ${seconds} s`;
        this.#screen.write(CLEAR_LINE + line.slice(0, (this.#screen.columns ?? 80) - 1));
      } else if (text !== told) {
        told = text;
        this.#screen.write(`  … ${text}\n`);
      }
    };
    const starter = setTimeout(() => {
      show();
      ticker = setInterval(show, FRAME_MS);
    }, SLOW_MS);
    const progress: Progress = {
      text: '',
      stop: () => {
        clearTimeout(starter);
        clearInterval(ticker);
        if (ticker !== undefined && isTerminal) this.#screen.write(CLEAR_LINE);
      },
    };
    return progress;
  }
}
