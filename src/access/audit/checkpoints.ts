// Checkpoints: what is told of the chain now and then, so that it can be proven from somewhere else later.
import type { Link } from './record.js';

export interface CheckpointOptions {
  /** Called with the last durable line every minute in which there was one, and at the end. */
  readonly onCheckpoint?: (checkpoint: Link) => void;
  /** Default is 60 s. */
  readonly checkpointMs?: number;
}

export class Checkpoints {
  readonly #last: () => Link | undefined;
  readonly #tell: (checkpoint: Link) => void;
  readonly #timer: NodeJS.Timeout;
  #told: string | undefined;

  constructor(last: () => Link | undefined, options: CheckpointOptions) {
    const { onCheckpoint = () => undefined, checkpointMs = 60_000 } = options;
    this.#last = last;
    this.#tell = onCheckpoint;
    this.#timer = setInterval(() => {
      this.#check();
    }, checkpointMs).unref();
  }

  /** Tells the last one. */
  end(): void {
    clearInterval(this.#timer);
    this.#check();
  }

  #check(): void {
    const last = this.#last();
    if (last === undefined || last.hash === this.#told) return;
    this.#told = last.hash;
    this.#tell(last);
  }
}

/** `CHAIN:SEQUENCE:HASH`, one word for a log line and a command line. */
export function checkpointText({ chain, sequence, hash }: Link): string {
  return `${chain}:${sequence}:${hash}`;
}

/** `undefined` for what is no checkpoint. */
export function parseCheckpoint(text: string): Link | undefined {
  const [, chain, sequence, hash] = /^([0-9a-f]{24}):(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (chain === undefined || sequence === undefined || hash === undefined) return undefined;
  return { chain, sequence: Number(sequence), hash };
}
