// All open connections: how many, what goes on on each, and on which nobody is known yet.
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { MAX_PIPELINED, MAX_PIPELINED_BYTES } from '../limits.js';
import { Crowd, type Line } from './crowd.js';

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
  /** In the order in which their answers leave; of each the bytes of its headers. */
  readonly requests: Map<InProgress, number>;
  /** How many of them are worked on. */
  working: number;
  /** Begin the others, in their order. */
  readonly waiting: (() => void)[];
  /** It ends with an answer that has begun, or has ended. */
  isEnding: boolean;
  /** What was sent behind the answer that it ends with. */
  ignored: number;
  /** Somebody has been identified on it. */
  isKnown: boolean;
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
 * connection goes that `Crowd` says.
 */
export class Connections {
  /** By its ends: a TLS socket and the one below it are told apart by nothing else. */
  readonly #open = new Map<string, Connection>();
  readonly #all = new Crowd<Connection>();
  /** By address. */
  readonly #strangers = new Map<string, Crowd<Connection>>();
  #closing = false;

  /** @param from - the address whose strangers it counts among; `undefined` for one whose connections are not counted. */
  opened(socket: Socket, from: string | undefined, { most, ofStrangers }: ConnectionCaps): void {
    const name = nameOf(socket);
    const connection: Connection = {
      name,
      socket,
      requests: new Map(),
      working: 0,
      waiting: [],
      isEnding: false,
      ignored: 0,
      isKnown: false,
      strangerFrom: from,
    };
    this.#open.set(name, connection);
    if (from !== undefined && !this.#strangers.has(from)) this.#strangers.set(from, new Crowd());
    this.#lineUp(connection);
    socket.once('close', () => {
      connection.isEnding = true;
      for (const begin of connection.waiting.splice(0)) begin();
      for (const request of connection.requests.keys()) request.connectionClosed();
      this.#forget(connection);
    });
    const strangers = this.#strangersOf(connection);
    if (strangers !== undefined && strangers.size > ofStrangers) this.#closeOneOf(strangers);
    else if (this.#all.size > most) this.#closeOneOf(this.#all);
  }

  /** A request's headers are complete. */
  began(name: string, request: InProgress, headBytes: number): void {
    const connection = this.#open.get(name);
    if (connection === undefined) return;
    connection.requests.set(request, headBytes);
    if (connection.requests.size === 1) this.#lineUp(connection);
  }

  /** Its answer has begun, or waits behind the one that has. */
  answered(name: string, request: InProgress): void {
    const connection = this.#open.get(name);
    if (connection === undefined) return;
    if (request.closes) connection.isEnding = true;
    if (frontOf(connection) === request) this.#lineUp(connection);
  }

  /**
   * Does `work` at once where somebody has been identified on the connection; else one after the other: strangers who
   * pipeline have no more places than others. Not at all once the connection ends. Never rejects, as `work`.
   */
  inTurn(name: string, work: () => Promise<void>): Promise<void> {
    const connection = this.#open.get(name);
    if (connection === undefined) return work();
    const begin = async (): Promise<void> => {
      connection.working += 1;
      if (!connection.isEnding) await work();
      connection.working -= 1;
      if (connection.working === 0) connection.waiting.shift()?.();
    };
    if (connection.isKnown || connection.working === 0) return begin();
    return new Promise((resolve) => {
      connection.waiting.push(() => {
        resolve(begin());
      });
    });
  }

  /** Somebody is known on this connection: it counts among its address's strangers no more. */
  identified(name: string): void {
    const connection = this.#open.get(name);
    if (connection === undefined) return;
    connection.isKnown = true;
    for (const begin of connection.waiting.splice(0)) begin();
    this.#countOut(connection);
  }

  /** Its answer has left, or never will. */
  ended(name: string, request: InProgress): void {
    const connection = this.#open.get(name);
    if (connection?.requests.delete(request) !== true) return;
    if (this.#closing && connection.requests.size === 0) connection.socket.destroySoon();
    else if (!connection.socket.destroyed) this.#lineUp(connection);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Whether it ends with an answer that is on its way: what is sent behind it is no request (RFC 9112 §9.6). */
  isEnding(name: string): boolean {
    return this.#open.get(name)?.isEnding === true;
  }

  /** To be told of each request that is none there: how many there were, for Node keeps them until the connection ends. */
  ignores(name: string): number {
    const connection = this.#open.get(name);
    if (connection === undefined) return Infinity;
    connection.ignored += 1;
    return connection.ignored;
  }

  /** Whether it has as many requests in progress as one may have, or as large ones. */
  isFull(name: string): boolean {
    const requests = this.#open.get(name)?.requests;
    if (requests === undefined || requests.size === 0) return false;
    let bytes = 0;
    for (const headBytes of requests.values()) bytes += headBytes;
    return requests.size >= MAX_PIPELINED || bytes >= MAX_PIPELINED_BYTES;
  }

  /** The requests in progress on a connection. */
  inProgress(name: string): readonly InProgress[] {
    return [...(this.#open.get(name)?.requests.keys() ?? [])];
  }

  /** Ends those that are idle, and from now on each that becomes so. */
  closeIdle(): void {
    this.#closing = true;
    for (const { socket } of this.#all.idle) socket.destroy();
  }

  #lineUp(connection: Connection): void {
    const line = lineOf(connection);
    this.#all.put(connection, line);
    this.#strangersOf(connection)?.put(connection, line);
  }

  #strangersOf({ strangerFrom }: Connection): Crowd<Connection> | undefined {
    return strangerFrom === undefined ? undefined : this.#strangers.get(strangerFrom);
  }

  /** Forgotten at once: the socket's own event comes later, and until then another one would be spared. */
  #closeOneOf(crowd: Crowd<Connection>): void {
    const connection = crowd.givingWay();
    if (connection === undefined) return;
    this.#forget(connection);
    connection.socket.destroy();
  }

  #forget(connection: Connection): void {
    if (this.#open.get(connection.name) === connection) this.#open.delete(connection.name);
    this.#all.delete(connection);
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

function lineOf(connection: Connection): Line {
  const front = frontOf(connection);
  if (front === undefined) return 'idle';
  if (!front.answered) return 'working';
  return connection.isKnown ? 'leaving-known' : 'leaving';
}

/** The request whose answer leaves next. */
function frontOf({ requests }: Connection): InProgress | undefined {
  const [front] = requests.keys();
  return front;
}

/** Its two ends (RFC 9293 §3.3.1), of a connection that is open: a closed one no longer knows them. */
export function nameOf(socket: Socket | Duplex): string {
  if (!('remotePort' in socket)) return '';
  const { remoteAddress = '', remotePort = '', localAddress = '', localPort = '' } = socket;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
