// The codec server on node:http or node:https: listening, reloading, stopping.
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
import { isNamespace } from '../codec/namespace.js';
import { Admission } from './admission.js';
import type { CodecServer } from './app.js';
import { CallerBudgets } from './caller-budgets.js';
import { clientAddress, farEnd, mayComeInClear, strangerFrom, trustedAddresses } from './client-address.js';
import { Connections, nameOf } from './connections.js';
import { Cors } from './cors.js';
import { loggedError } from './error-log.js';
import { Exchange, type Told } from './exchange.js';
import {
  DRAIN_TIMEOUT_MS,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  MAX_STRANGER_CONNECTIONS,
  REQUEST_TIMEOUT_MS,
} from './limits.js';
import { endMalformed, type BareAnswer } from './malformed.js';
import { systemClock, type CodecServerParts, type ServerClock } from './parts.js';
import { readHeaders, type RequestHeaders } from './request-headers.js';
import { answerRequest } from './request.js';
import { routeName, routeOf, type Route } from './route.js';
import { KeyPairRefused, loadKeyPair, watchKeyPair } from './tls.js';
import type { RequestSpan } from './tracing.js';
import type { Setup } from './turn.js';

const EXPIRY_WARNING_MS = 14 * 86_400_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;

export class HttpCodecServer implements CodecServer {
  #setup: Setup;
  readonly #clock: ServerClock;
  readonly #admission = new Admission();
  readonly #budgets: CallerBudgets;
  readonly #connections = new Connections();
  #server: Server | HttpsServer | undefined;
  #secure: HttpsServer | undefined;
  #certificateExpiresMs: number | undefined;
  #unwatch: () => void = () => undefined;
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
      certificateExpiresMs: this.#certificateExpiresMs,
    }));
  }

  async listen(): Promise<{ readonly url: string; readonly port: number }> {
    const { host, port } = this.#setup.parts.options.listen;
    const server = await this.#create();
    server.listen(port, host);
    await once(server, 'listening');
    this.#server = server;
    this.#watch();
    const { port: bound } = server.address() as AddressInfo;
    const scheme = this.#secure === undefined ? 'http' : 'https';
    return { url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound };
  }

  reload(parts: CodecServerParts): void {
    this.#setup = setupOf(parts);
    this.#watch();
  }

  async reloadTls(): Promise<void> {
    const { tls } = this.#setup.parts.options;
    if (tls === undefined || this.#secure === undefined) return;
    const pair = await loadKeyPair(tls, this.#clock.wall());
    this.#secure.setSecureContext({ cert: pair.cert, key: pair.key, minVersion: 'TLSv1.2' });
    this.#noteExpiry(pair.expiresAtMs);
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
      maxHeaderSize: limits.headerBytes,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      insecureHTTPParser: false,
      requireHostHeader: false, // Node's own answer goes past ours
    };
    if (tls === undefined) return this.#prepare(createHttpServer(settings));
    const pair = await loadKeyPair(tls, this.#clock.wall());
    this.#noteExpiry(pair.expiresAtMs);
    const secure = createHttpsServer({
      ...settings,
      cert: pair.cert,
      key: pair.key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    this.#secure = secure;
    return this.#prepare(secure);
  }

  #prepare(server: Server | HttpsServer): Server | HttpsServer {
    server.maxHeadersCount = 0; // else Node silently drops what is beyond it
    server.on('connection', (socket: Socket) => {
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
    if (this.#connections.isEnding(name) || !request.socket.writable) return;
    const atEnd: (() => void)[] = [];
    const address = clientAddress(request, setup.trusted);
    const headers = readHeaders(request);
    let hasRecord = false;
    const options = { clock: this.#clock, expectsContinue, stopping: () => this.#stopping !== undefined };
    const exchange = new Exchange(request, response, options, (told) => {
      this.#connections.ended(name, exchange);
      for (const work of atEnd) work();
      span?.end(told);
      tell(setup, route, told, span);
      if (!hasRecord) countRefusal(setup, { route, address, headers }, told);
    });
    const span = spanOf(setup, route, exchange);
    this.#connections.began(name, exchange);
    if (this.#mustNotCome(request, route)) {
      exchange.destroy('not_encrypted');
      return;
    }
    const turn = {
      setup,
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
      atEnd: (work: () => void) => {
        atEnd.push(work);
      },
    };
    const answer = (): Promise<void> => answerRequest(turn, route, () => this.#ready());
    const work = (span?.run(answer) ?? answer()).finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  /** Behind proxies that end TLS nobody else may come without; what orchestrators ask tells nothing. */
  #mustNotCome({ socket }: IncomingMessage, { kind }: Route): boolean {
    if (this.#secure !== undefined || kind === 'live' || kind === 'ready') return false;
    return !mayComeInClear(socket.remoteAddress, this.#setup.trusted);
  }

  #ready(): boolean {
    return this.#stopping === undefined && this.#setup.parts.authenticator.ready();
  }

  /** The files, which a reload of the configuration may have changed. */
  #watch(): void {
    const { tls } = this.#setup.parts.options;
    this.#unwatch();
    if (tls === undefined || this.#secure === undefined || this.#stopping !== undefined) return;
    this.#unwatch = watchKeyPair(tls, () => {
      this.#reloadChanged();
    });
  }

  #reloadChanged(): void {
    this.reloadTls().then(
      () => {
        this.#setup.parts.logger.info('certificate and key were read again');
      },
      (error: unknown) => {
        this.#setup.parts.logger.error(
          error instanceof KeyPairRefused ? { mistakes: error.mistakes } : { error: loggedError(error) },
          'the new certificate and key cannot be used; the old ones stay',
        );
      },
    );
  }

  #noteExpiry(expiresAtMs: number): void {
    this.#certificateExpiresMs = expiresAtMs;
    if (expiresAtMs - this.#clock.wall() > EXPIRY_WARNING_MS) return;
    this.#setup.parts.logger.warn(
      { expires: new Date(expiresAtMs).toISOString() },
      'the certificate expires soon',
    );
  }

  async #stop(): Promise<void> {
    const { shutdownDelaySeconds } = this.#setup.parts.options.limits;
    const server = this.#server;
    this.#unwatch();
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

/** @throws TypeError for options that cannot be right. */
function setupOf(parts: CodecServerParts): Setup {
  const { options } = parts;
  return { parts, cors: new Cors(options), trusted: trustedAddresses(options.trustedProxies ?? []) };
}

/** What orchestrators ask every other second is no trace. */
function spanOf({ parts }: Setup, route: Route, { request, requestId }: Exchange): RequestSpan | undefined {
  if (parts.tracing === undefined || route.kind === 'live' || route.kind === 'ready') return undefined;
  const { traceparent } = request.headers;
  return parts.tracing.begin(routeName(route), {
    method: request.method ?? '',
    requestId,
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
  });
}

function tell(
  { parts }: Setup,
  route: Route,
  { requestId, status, code, durationMs, aborted }: Told,
  span: RequestSpan | undefined,
): void {
  const name = routeName(route);
  parts.metrics?.request({ route: name, status, code, durationMs });
  const line = {
    requestId,
    ...(span && { traceId: span.traceId }),
    route: name,
    status,
    code,
    durationMs: Math.round(durationMs * 10) / 10,
  };
  if (route.kind === 'live' || route.kind === 'ready') parts.logger.debug(line, 'request');
  else parts.logger.info(aborted ? { ...line, aborted } : line, 'request');
}

/** What nobody was known for has no record of its own. An answer that never left is no refusal; nor is one on health. */
function countRefusal(
  { parts }: Setup,
  { route, address, headers }: { route: Route; address: string; headers: RequestHeaders },
  { requestId, status, code, reason: message }: Told,
): void {
  if (code === 'ok' || status === 0 || route.kind === 'live' || route.kind === 'ready') return;
  const named = (route.kind === 'codec' ? route.namespace : undefined) ?? headers.namespace;
  const namespace = named !== undefined && isNamespace(named) ? named : undefined; // else it may be a token, misplaced
  parts.audit.refused({ requestId, route: routeName(route), status, code, message, address, namespace });
}

/** What came too slowly is no attempt at anything: browsers open connections that they may never use. */
function countMalformed({ parts }: Setup, address: string, { requestId, status }: BareAnswer): void {
  if (status === 408) return;
  const nothing = { message: undefined, namespace: undefined };
  parts.audit.refused({ requestId, route: 'other', status, code: 'malformed', address, ...nothing });
}
