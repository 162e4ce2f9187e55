// A TCP proxy in front of something that is needed, and the ways in which networks fail.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { choosePort } from '../../src/dev/loopback.js';
import type { Stoppable } from '../parts/spawn-part.js';

/**
 * `refuse`: nobody listens; `reset`: connections are taken and reset at once; `stall`: taken, also those that are open,
 * and no byte passes any more; `slow`: each piece of an answer comes three seconds late; `cut`: an answer is reset after
 * its first bytes.
 */
export type Fault = 'refuse' | 'reset' | 'stall' | 'slow' | 'cut';

export const FAULTS: readonly Fault[] = ['refuse', 'reset', 'stall', 'slow', 'cut'];

const SLOW_MS = 3_000;
/** Not one HTTP head, nor one TLS handshake. */
const CUT_AFTER_BYTES = 16;

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  readonly timers: Set<NodeJS.Timeout>;
}

export class FaultProxy implements Stoppable {
  /** Connections that were taken so far. */
  taken = 0;
  readonly port: number;
  #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<Pair>();
  #fault: Fault | undefined;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.#target = target;
    this.#takeFrom(server);
  }

  /**
   * On a port that no connection and no other server is given by the system while nobody listens there.
   *
   * @param target - a port of this machine.
   */
  static async start(target: number): Promise<FaultProxy> {
    return new FaultProxy(await listening(await choosePort(0, new Set())), target);
  }

  /** From now on it fails in this way. */
  async break(fault: Fault): Promise<void> {
    this.#fault = fault;
    if (fault === 'stall') return;
    if (fault === 'refuse') await this.#close();
    else this.#resetAll();
  }

  /** From now on it works; what was open is closed. */
  async repair(): Promise<void> {
    this.#fault = undefined;
    this.#resetAll();
    if (this.#server.listening) return;
    this.#server = await listening(this.port);
    this.#takeFrom(this.#server);
  }

  async stop(): Promise<void> {
    if (this.#server.listening) await this.#close();
    this.#resetAll();
  }

  async #close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#resetAll();
    await closed;
  }

  #resetAll(): void {
    for (const { near, far, timers } of this.#pairs) {
      for (const timer of timers) clearTimeout(timer);
      near.resetAndDestroy();
      far.destroy();
    }
    this.#pairs.clear();
  }

  #takeFrom(server: Server): void {
    server.on('connection', (near) => {
      this.taken += 1;
      near.on('error', () => undefined);
      if (this.#fault === 'reset') near.resetAndDestroy();
      else this.#join(near);
    });
  }

  #join(near: Socket): void {
    const far = connect(this.#target, '127.0.0.1');
    const pair: Pair = { near, far, timers: new Set() };
    this.#pairs.add(pair);
    far.on('error', () => undefined);
    near.on('data', (chunk) => {
      if (this.#fault !== 'stall') far.write(chunk);
    });
    far.on('data', (chunk) => {
      this.#answer(pair, chunk);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('close', () => {
        if (this.#fault === 'stall') return;
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }

  #answer({ near, timers }: Pair, chunk: Buffer): void {
    switch (this.#fault) {
      case 'stall':
        return;
      case 'slow': {
        const timer = setTimeout(() => {
          timers.delete(timer);
          near.write(chunk);
        }, SLOW_MS);
        timers.add(timer);
        return;
      }
      case 'cut':
        near.write(chunk.subarray(0, CUT_AFTER_BYTES), () => near.resetAndDestroy());
        return;
      default:
        near.write(chunk);
    }
  }
}

async function listening(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
