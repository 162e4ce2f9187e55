// All open connections: how many, which are idle and since when, and on which nobody is known yet.
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { MAX_PIPELINED } from './limits.js';

/** A request in progress. */
interface InProgress {
  /** Whether its answer has begun. */
  readonly answered: boolean;
  /** Whether the connection ends with its answer. */
  readonly closes: boolean;
  /** Told when the connection closed under it. */
  connectionClosed(): void;
}

interface Connection {
  readonly name: string;
  readonly socket: Socket;
  readonly requests: Set<InProgress>;
  /** The one that came last. */
  last: InProgress | undefined;
  /** Where it comes from, as long as nobody has been identified on it. */
  strangerFrom: string | undefined;
}

/** How many connections may be open. */
export interface ConnectionCaps {
  /** In all. */
  readonly most: number;
  /** From one address, on which nobody has been identified yet. */
  readonly ofStrangers: number;
}

/**
 * Node's own cap refuses the newcomer, so strangers could keep everyone out with idle sockets. Here, at a cap, the
 * connection goes that has been longest without a request in progress.
 */
export class Connections {
  /** By the far end: a TLS socket and the one below it are told apart by nothing else. */
  readonly #open = new Map<string, Connection>();
  /** Without a request in progress, the longest first. */
  readonly #idle = new Set<Connection>();
  /** By address; within one those that are idle stand as in `#idle`. */
  readonly #strangers = new Map<string, Set<Connection>>();
  #closing = false;

  /** @param from - the address whose strangers it counts among; `undefined` for one whose connections are not counted. */
  opened(socket: Socket, from: string | undefined, { most, ofStrangers }: ConnectionCaps): void {
    const name = nameOf(socket);
    const connection: Connection = { name, socket, requests: new Set(), last: undefined, strangerFrom: from };
    this.#open.set(name, connection);
    this.#rest(connection);
    socket.once('close', () => {
      for (const request of connection.requests) request.connectionClosed();
      this.#forget(connection);
    });
    const strangers = this.#strangersOf(connection);
    if (strangers !== undefined && strangers.size > ofStrangers) this.#closeLongestIdle(strangers);
    else if (this.#open.size > most) this.#closeLongestIdle(this.#idle);
  }

  /** A request's headers are complete. */
  began(name: string, request: InProgress): void {
    const connection = this.#open.get(name);
    if (connection === undefined) return;
    connection.requests.add(request);
    connection.last = request;
    this.#idle.delete(connection);
  }

  /** Somebody is known on this connection: it counts among its address's strangers no more. */
  identified(name: string): void {
    const connection = this.#open.get(name);
    if (connection !== undefined) this.#countOut(connection);
  }

  /** Its answer has left, or never will. */
  ended(name: string, request: InProgress): void {
    const connection = this.#open.get(name);
    if (connection?.requests.delete(request) !== true || connection.requests.size > 0) return;
    if (this.#closing) connection.socket.destroySoon();
    else if (!connection.socket.destroyed) this.#rest(connection);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Whether it ends with an answer that is on its way: what is sent behind it is no request (RFC 9112 §9.6). */
  isEnding(name: string): boolean {
    return this.#open.get(name)?.last?.closes === true;
  }

  /** Whether it has as many requests in progress as one may have. */
  isFull(name: string): boolean {
    return (this.#open.get(name)?.requests.size ?? 0) >= MAX_PIPELINED;
  }

  /** The requests in progress on a connection. */
  inProgress(name: string): readonly InProgress[] {
    return [...(this.#open.get(name)?.requests ?? [])];
  }

  /** Ends those that are idle, and from now on each that becomes so. */
  closeIdle(): void {
    this.#closing = true;
    for (const { socket } of this.#idle) socket.destroy();
  }

  /** From now on it is idle. */
  #rest(connection: Connection): void {
    this.#idle.add(connection);
    const { strangerFrom } = connection;
    if (strangerFrom === undefined) return;
    const strangers = this.#strangersOf(connection) ?? new Set();
    strangers.delete(connection);
    this.#strangers.set(strangerFrom, strangers.add(connection));
  }

  #strangersOf({ strangerFrom }: Connection): Set<Connection> | undefined {
    return strangerFrom === undefined ? undefined : this.#strangers.get(strangerFrom);
  }

  /** Forgotten at once: the socket's own event comes later, and until then another one would be spared. */
  #closeLongestIdle(connections: ReadonlySet<Connection>): void {
    for (const connection of connections) {
      if (!this.#idle.has(connection)) continue;
      this.#forget(connection);
      connection.socket.destroy();
      return;
    }
  }

  #forget(connection: Connection): void {
    if (this.#open.get(connection.name) === connection) this.#open.delete(connection.name);
    this.#idle.delete(connection);
    this.#countOut(connection);
  }

  #countOut(connection: Connection): void {
    const strangers = this.#strangersOf(connection);
    strangers?.delete(connection);
    if (strangers?.size === 0 && connection.strangerFrom !== undefined) {
      this.#strangers.delete(connection.strangerFrom);
    }
    connection.strangerFrom = undefined;
  }
}

/** Of a connection that is open; a closed one no longer knows its far end. */
export function nameOf(socket: Socket | Duplex): string {
  if (!('remotePort' in socket)) return '';
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`;
}
