// Where Prometheus and orchestrators ask, on a listener of its own.
import { createServer, type RequestListener, type Server } from 'node:http';
import { healthBody } from './health.js';

/**
 * Answers `GET /metrics`, and `GET` or `HEAD` of `/health/live` and `/health/ready`. A busy process accepts one connection
 * in each turn of its event loop and listener: here none of the callers' stands before.
 */
export function createMetricsListener(metrics: RequestListener, isReady: () => boolean): Server {
  return createServer((request, response) => {
    const health = (good: boolean): void => {
      const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
      response.writeHead(good ? 200 : 503, headers).end(healthBody(good));
    };
    switch (`${request.method ?? ''} ${request.url?.split('?')[0] ?? ''}`) {
      case 'GET /metrics':
        metrics(request, response);
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
  });
}
