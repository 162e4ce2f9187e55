// Ends what dev mode started, in reverse order: after the story, on Ctrl-C, and in one go when the process dies.
import { rmSync } from 'node:fs';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** A terminal sends Ctrl-C to npm, tsx and us alike, and they pass it on: what comes so soon is the same one. */
const SAME_SIGNAL_MS = 250;

/** Whatever was started registers how it ends. */
export class Endings {
  readonly #ends: (() => Promise<void>)[] = [];
  readonly #atExit: (() => void)[] = [];
  readonly #onExit = () => {
    for (const end of this.#atExit.splice(0)) end();
  };

  constructor() {
    process.on('exit', this.#onExit);
  }

  /** `end` runs before what was added earlier; `atExit` must do its work at once, for a process that is dying. */
  add(end: () => Promise<void>, atExit?: () => void): void {
    this.#ends.push(end);
    if (atExit !== undefined) this.#atExit.push(atExit);
  }

  /** A directory that goes with its content. */
  addDirectory(path: string): void {
    const remove = () => {
      rmSync(path, { recursive: true, force: true });
    };
    this.add(() => {
      remove();
      return Promise.resolve();
    }, remove);
  }

  /** Ends all of it; what fails to end does not keep the rest from ending. */
  async run(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end().catch(() => undefined);
    this.#onExit();
    process.removeListener('exit', this.#onExit);
  }
}

export interface StopSignal {
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. A second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Gives the signals back to whoever had them. */
  release(): void;
}

export function listenForStop(): StopSignal {
  const controller = new AbortController();
  let firstMs = Number.POSITIVE_INFINITY;
  const onSignal = () => {
    if (performance.now() - firstMs > SAME_SIGNAL_MS) process.exit(1);
    if (!controller.signal.aborted) firstMs = performance.now();
    controller.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of SIGNALS) process.removeListener(name, onSignal);
    },
  };
}

/** Resolves once `signal` is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const forever = setInterval(() => undefined, 2 ** 30); // an abort listener alone keeps no process alive
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
  clearInterval(forever);
}
