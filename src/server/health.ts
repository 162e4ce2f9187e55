// Whether this process lives and takes requests, for orchestrators and balancers.
import type { Exchange } from './http/exchange.js';

/** 200 or 503; never asks a key service or the Operations API, or one outage would empty the balancer. */
export function answerHealth(exchange: Exchange, good: boolean): void {
  exchange.answer(good ? 200 : 503, good ? 'ok' : 'not_ready', healthBody(good));
}

export function healthBody(good: boolean): Buffer {
  return Buffer.from(JSON.stringify({ status: good ? 'ok' : 'not ready' }));
}
