// All open connections: how many, which are idle and since when.
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';

/** A request in progress. */
interface InProgress {
  /** Whether its answer has begun. */
  readonly answered: boolean;
  /** Told when the connection closed under it. */
  connectionClosed(): void;
}

interface Connection {
  readonly socket: Socket;
  readonly requests: Set<InProgress>;
}

/**
 * Node's own cap refuses the newcomer, so strangers could keep everyone out with idle sockets. Here the connection
 * goes that has been longest without a request in progress.
 */
export class Connections {
  /** By the far end: a TLS socket and the one below it are told apart by nothing else. */
  readonly #idle = new Map<string, Connection>();
  readonly #busy = new Map<string, Connection>();
  #closing = false;

  /** @param most - connections kept open. */
  opened(socket: Socket, most: number): void {
    const name = nameOf(socket);
    const requests = new Set<InProgress>();
    this.#idle.set(name, { socket, requests });
    socket.once('close', () => {
      for (const request of requests) request.connectionClosed();
      this.#idle.delete(name);
      this.#busy.delete(name);
    });
    if (this.#idle.size + this.#busy.size <= most) return;
    const [longest] = this.#idle.values();
    longest?.socket.destroy();
  }

  /** A request's headers are complete. */
  began(name: string, request: InProgress): void {
    const connection = this.#idle.get(name) ?? this.#busy.get(name);
    if (connection === undefined) return;
    connection.requests.add(request);
    this.#idle.delete(name);
    this.#busy.set(name, connection);
  }

  /** Its answer has left, or never will. */
  ended(name: string, request: InProgress): void {
    const connection = this.#busy.get(name);
    if (connection === undefined) return;
    connection.requests.delete(request);
    if (connection.requests.size > 0) return;
    this.#busy.delete(name);
    if (this.#closing) connection.socket.destroySoon();
    else if (!connection.socket.destroyed) this.#idle.set(name, connection);
  }

  /** The requests in progress on a connection. */
  inProgress(name: string): readonly InProgress[] {
    return [...(this.#busy.get(name)?.requests ?? [])];
  }

  /** Ends those that are idle, and from now on each that becomes so. */
  closeIdle(): void {
    this.#closing = true;
    for (const { socket } of this.#idle.values()) socket.destroy();
  }
}

/** Of a connection that is open; a closed one no longer knows its far end. */
export function nameOf(socket: Socket | Duplex): string {
  if (!('remotePort' in socket)) return '';
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`;
}
