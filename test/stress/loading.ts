// What a server does for so many requests for plaintext at once, or so many a second.
import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { plantSecret } from '../streams.js';
import type { LoadedServer } from './loaded-server.js';

/** Requests of ours that have no answer yet: beyond it a caller of ours does not even connect. */
const MOST_OUTSTANDING = 400;
const TICK_MS = 10;

/** A server, and the body that it is asked to open. */
export interface Asked {
  readonly server: LoadedServer;
  readonly body: string;
}

/** The server's own sealed payloads of 200 B, as many as are told. */
export async function sealedBy(server: LoadedServer, payloads: number): Promise<Asked> {
  const metadata = { encoding: Buffer.from('json/plain').toString('base64') };
  const text = plantSecret('plaintext of a loaded server'.padEnd(200, '.'));
  const data = Buffer.from(JSON.stringify(text)).toString('base64');
  const body = JSON.stringify({ payloads: Array.from({ length: payloads }, () => ({ metadata, data })) });
  return { server, body: (await server.ask(0, '/encode', body, new Agent())).text };
}

export interface Load {
  /** How many answers of each status; 0: none. */
  readonly statuses: Map<number, number>;
  /** Of those that were 200. */
  readonly latenciesMs: number[];
  readonly perSecond: number;
  /** 200s for each second of processor time of the server: what else runs on the machine does not count. */
  readonly perCpuSecond: number;
}

/** As many at once, one after the other. */
export async function inLanes(asked: Asked, lanes: number, lastsMs: number): Promise<Load> {
  const load = new Loading(asked, lanes);
  const lane = async (index: number): Promise<void> => {
    while (load.sinceMs() < lastsMs) await load.ask(index);
  };
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)));
  return load.ended();
}

/** So many each second, whether the ones before were answered or not. */
export async function atRate(asked: Asked, perSecond: number, lastsMs: number): Promise<Load> {
  const load = new Loading(asked, MOST_OUTSTANDING);
  let sent = 0;
  while (load.sinceMs() < lastsMs) {
    const due = Math.floor((load.sinceMs() / 1_000) * perSecond);
    for (; sent < due; sent += 1) {
      if (load.outstanding < MOST_OUTSTANDING) void load.ask(sent);
    }
    await pause(TICK_MS);
  }
  return load.ended();
}

class Loading {
  outstanding = 0;
  readonly #of: Asked;
  readonly #agent: Agent;
  readonly #startedMs = performance.now();
  readonly #cpuSeconds: number;
  readonly #statuses = new Map<number, number>();
  readonly #latenciesMs: number[] = [];
  readonly #asked = new Set<Promise<void>>();

  constructor(of: Asked, sockets: number) {
    this.#of = of;
    this.#cpuSeconds = of.server.cpuSeconds();
    this.#agent = new Agent({ keepAlive: true, maxSockets: sockets });
  }

  sinceMs(): number {
    return performance.now() - this.#startedMs;
  }

  ask(index: number): Promise<void> {
    const startedMs = performance.now();
    this.outstanding += 1;
    const { server, body } = this.#of;
    const asked = server
      .ask(index, '/decode', body, this.#agent)
      .then(({ status }) => {
        if (status === 200) this.#latenciesMs.push(performance.now() - startedMs);
        return status;
      })
      .catch(() => 0)
      .then((status) => {
        this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
        this.outstanding -= 1;
        this.#asked.delete(asked);
      });
    this.#asked.add(asked);
    return asked;
  }

  async ended(): Promise<Load> {
    const lastedMs = this.sinceMs();
    await Promise.all(this.#asked);
    this.#agent.destroy();
    const statuses = this.#statuses;
    const answered = statuses.get(200) ?? 0;
    return {
      statuses,
      latenciesMs: this.#latenciesMs,
      perSecond: (answered / lastedMs) * 1_000,
      perCpuSecond: answered / (this.#of.server.cpuSeconds() - this.#cpuSeconds),
    };
  }
}
