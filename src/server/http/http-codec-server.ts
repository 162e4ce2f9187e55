// The codec server on node:http or node:https: from listening over each request's turn to the stop.
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock, type Clock } from '../../clock.js';
import { Admission } from '../admission/admission.js';
import { CallerBudgets } from '../admission/caller-budgets.js';
import type { CodecServer } from '../app.js';
import {
  DRAIN_TIMEOUT_MS,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  MAX_HEADERS,
  MAX_IGNORED,
  MAX_STRANGER_CONNECTIONS,
  REQUEST_TIMEOUT_MS,
} from '../limits.js';
import type { CodecServerParts } from '../parts.js';
import { answerRequest } from '../request.js';
import { countMalformed, countRefusal } from '../stranger-refusals.js';
import { spanOf, tell } from '../telemetry/told.js';
import type { Setup } from '../turn.js';
import { clientAddress, farEnd, mayComeInClear, strangerFrom, trustedAddresses } from './client-address.js';
import { CompactMessage } from './compact-message.js';
import { Connections, nameOf } from './connections.js';
import { Cors } from './cors.js';
import { Exchange } from './exchange.js';
import { endMalformed, unanswered } from './malformed.js';
import { headBytes, readHeaders } from './request-headers.js';
import { routeOf, type Route } from './route.js';
import { ServedKeyPair } from './served-key-pair.js';

const HANDSHAKE_TIMEOUT_MS = 10_000;

export class HttpCodecServer implements CodecServer {
  #setup: Setup;
  readonly #clock: Clock;
  readonly #admission = new Admission();
  readonly #budgets: CallerBudgets;
  readonly #connections = new Connections();
  #server: Server | HttpsServer | undefined;
  /** Absent: it listens without TLS. */
  #keyPair: ServedKeyPair | undefined;
  #stopping: Promise<void> | undefined;
  readonly #hurry = new AbortController();
  /** Requests that are worked on, also those whose caller is gone: they belong on record. None rejects. */
  readonly #working = new Set<Promise<void>>();

  constructor(parts: CodecServerParts) {
    this.#setup = setupOf(parts);
    this.#clock = parts.clock ?? systemClock;
    this.#budgets = new CallerBudgets(this.#clock);
    parts.metrics?.levels(() => ({
      ...this.#admission.levels,
      ready: this.#ready(),
      connections: this.#connections.size,
      certificateExpiresMs: this.#keyPair?.expiresAtMs,
    }));
  }

  async listen(): Promise<{ readonly url: string; readonly port: number }> {
    const { host, port } = this.#setup.parts.options.listen;
    const server = await this.#create();
    server.listen(port, host);
    await once(server, 'listening');
    this.#server = server;
    this.#keyPair?.watch();
    const { port: bound } = server.address() as AddressInfo;
    const scheme = this.#keyPair === undefined ? 'http' : 'https';
    return { url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound };
  }

  reload(parts: CodecServerParts): void {
    this.#setup = setupOf(parts);
    if (this.#stopping === undefined) this.#keyPair?.watch();
  }

  async reloadTls(): Promise<void> {
    await this.#keyPair?.read();
  }

  drain(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  close(): Promise<void> {
    this.#hurry.abort();
    return this.drain();
  }

  async #create(): Promise<Server | HttpsServer> {
    const { tls, limits } = this.#setup.parts.options;
    const settings = {
      IncomingMessage: CompactMessage,
      maxHeaderSize: limits.headerBytes,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      insecureHTTPParser: false,
      requireHostHeader: false, // Node's own answer goes past ours
    };
    if (tls === undefined) return this.#prepare(createHttpServer(settings));
    const secure = createHttpsServer({ ...settings, handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
    const keyPair = new ServedKeyPair(secure, this.#clock, () => this.#setup.parts);
    await keyPair.read();
    this.#keyPair = keyPair;
    return this.#prepare(secure);
  }

  #prepare(server: Server | HttpsServer): Server | HttpsServer {
    // Node 20 silently drops what is beyond it, 22 refuses it: more than we allow are there to be counted, but not thousands
    server.maxHeadersCount = 2 * MAX_HEADERS;
    server.closeIdleConnections = () => undefined; // `close` calls it: to Node one is idle whose answer is on its way
    server.on('connection', (socket: Socket) => {
      this.#admission.connected();
      const { parts, trusted } = this.#setup;
      const caps = { most: parts.options.limits.connections, ofStrangers: MAX_STRANGER_CONNECTIONS };
      this.#connections.opened(socket, strangerFrom(socket.remoteAddress, trusted), caps);
    });
    server.on('request', (request, response) => {
      this.#serve(request, response, false);
    });
    server.on('checkContinue', (request, response) => {
      this.#serve(request, response, true);
    });
    server.on('checkExpectation', (request, response) => {
      this.#serve(request, response, false);
    });
    server.on('clientError', (error, socket) => {
      const address = farEnd('remoteAddress' in socket ? (socket as Socket).remoteAddress : undefined);
      const answer = endMalformed(error, socket, this.#connections.inProgress(nameOf(socket)));
      if (answer !== undefined) countMalformed(this.#setup, address, answer);
    });
    return server;
  }

  #serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const setup = this.#setup;
    const route = routeOf(request.url ?? '');
    const name = nameOf(request.socket);
    if (this.#connections.isEnding(name) || !request.socket.writable) {
      if (this.#connections.ignores(name) > MAX_IGNORED) request.socket.destroy();
      return;
    }
    if (this.#connections.isFull(name)) {
      countMalformed(setup, farEnd(request.socket.remoteAddress), unanswered());
      request.socket.destroy(); // to pause it would not do: Node hands over all that came with it
      return;
    }
    const atEnd: (() => void)[] = [];
    let work = Promise.resolve();
    const further: Promise<unknown>[] = [];
    const address = clientAddress(request, setup.trusted);
    const headers = readHeaders(request);
    let hasRecord = false;
    const options = { clock: this.#clock, expectsContinue, stopping: () => this.#stopping !== undefined };
    const exchange = new Exchange(request, response, options, {
      answered: () => {
        this.#connections.answered(name, exchange);
      },
      ended: (told) => {
        this.#connections.ended(name, exchange);
        void work
          .then(() => Promise.allSettled(further))
          .then(() => {
            for (const end of atEnd) end();
          });
        span?.end(told);
        tell(setup, route, told, span);
        if (!hasRecord) countRefusal(setup, { route, address, headers }, told);
      },
    });
    const span = spanOf(setup, route, exchange);
    this.#connections.began(name, exchange, headBytes(request));
    if (this.#mustNotCome(request, route)) {
      exchange.destroy('not_encrypted');
      return;
    }
    const turn = {
      setup,
      latest: () => this.#setup,
      exchange,
      headers,
      origin: setup.cors.judge(headers.origin),
      admission: this.#admission,
      budgets: this.#budgets,
      clock: this.#clock,
      address,
      onRecord: () => {
        hasRecord = true;
      },
      identified: () => {
        this.#connections.identified(name);
      },
      alsoWorks: (more: Promise<unknown>) => {
        further.push(more.then(nothing, nothing)); // not itself: the connection would keep what it answers
      },
      atEnd: (end: () => void) => {
        atEnd.push(end);
      },
    };
    const answer = (): Promise<void> => answerRequest(turn, route, () => this.#ready());
    work = this.#connections
      .inTurn(name, () => span?.run(answer) ?? answer())
      .finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  /** Behind proxies that end TLS nobody else may come without; what orchestrators ask tells nothing. */
  #mustNotCome({ socket }: IncomingMessage, { kind }: Route): boolean {
    if (this.#keyPair !== undefined || kind === 'live' || kind === 'ready') return false;
    return !mayComeInClear(socket.remoteAddress, this.#setup.trusted);
  }

  #ready(): boolean {
    const listens = this.#server !== undefined && this.#stopping === undefined;
    return listens && this.#setup.parts.authenticator.ready();
  }

  async #stop(): Promise<void> {
    const { shutdownDelaySeconds } = this.#setup.parts.options.limits;
    const server = this.#server;
    this.#keyPair?.unwatch();
    if (server === undefined) return;
    await pause(shutdownDelaySeconds * 1000, undefined, { signal: this.#hurry.signal }).catch(
      () => undefined,
    );
    const closed = once(server, 'close');
    server.close();
    this.#connections.closeIdle();
    const late = setTimeout(() => {
      server.closeAllConnections();
    }, DRAIN_TIMEOUT_MS);
    await closed;
    clearTimeout(late);
    await Promise.all(this.#working);
  }
}

function nothing(): void {
  return undefined;
}

/** @throws TypeError for options that cannot be right. */
function setupOf(parts: CodecServerParts): Setup {
  const { options } = parts;
  return { parts, cors: new Cors(options), trusted: trustedAddresses(options.trustedProxies ?? []) };
}
