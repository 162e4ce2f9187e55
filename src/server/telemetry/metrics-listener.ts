// Where Prometheus and orchestrators ask, on a listener of its own.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { healthBody } from '../health.js';
import { Connections, nameOf } from '../http/connections.js';
import { headBytes } from '../http/request-headers.js';
import { MAX_METRICS_CONNECTIONS, METRICS_TIMEOUT_MS } from '../limits.js';

const CAPS = { most: MAX_METRICS_CONNECTIONS, ofStrangers: MAX_METRICS_CONNECTIONS };

export interface MetricsAnswers {
  /** For `/metrics`. */
  readonly page: () => Promise<string>;
  readonly isReady: () => boolean;
}

/**
 * Answers `GET /metrics`, and `GET` or `HEAD` of `/health/live` and `/health/ready`. A busy process accepts one connection
 * in each turn of its event loop and listener: here none of the callers' stands before. Who keeps connections here, or
 * pipelines, is bounded as they are.
 */
export function createMetricsListener(answers: MetricsAnswers): Server {
  const connections = new Connections();
  const server = createServer({
    headersTimeout: METRICS_TIMEOUT_MS,
    requestTimeout: METRICS_TIMEOUT_MS,
    connectionsCheckingInterval: 1_000,
  });
  server.on('connection', (socket) => {
    connections.opened(socket, undefined, CAPS);
  });
  server.on('request', (request, response) => {
    const name = nameOf(request.socket);
    if (connections.isFull(name)) request.socket.destroy();
    if (!request.socket.writable) return;
    const inProgress = {
      get answered(): boolean {
        return response.headersSent;
      },
      closes: false,
      connectionClosed: () => undefined,
    };
    connections.began(name, inProgress, headBytes(request));
    response.once('close', () => {
      connections.ended(name, inProgress);
    });
    void answer(request, response, answers).then(() => {
      connections.answered(name, inProgress);
    });
  });
  return server;
}

async function answer(
  { method = '', url = '' }: IncomingMessage,
  response: ServerResponse,
  { page, isReady }: MetricsAnswers,
): Promise<void> {
  const health = (good: boolean): void => {
    const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
    response.writeHead(good ? 200 : 503, headers).end(healthBody(good));
  };
  switch (`${method} ${url.split('?')[0] ?? ''}`) {
    case 'GET /metrics':
      try {
        const text = await page();
        response.writeHead(200, { 'Content-Type': 'text/plain' }).end(text);
      } catch {
        response.writeHead(500).end();
      }
      return;
    case 'GET /health/live':
    case 'HEAD /health/live':
      health(true);
      return;
    case 'GET /health/ready':
    case 'HEAD /health/ready':
      health(isReady());
      return;
    default:
      response.writeHead(404).end();
  }
}
