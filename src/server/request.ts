// Any request, from its headers to the one answer it gets.
import { KeyholeError } from '../errors.js';
import { answerCodecRequest, assertMethod, assertOrigin } from './codec-request.js';
import { errorResponse, type ErrorResponse } from './error-response.js';
import { answerHealth } from './health.js';
import { CallerGone } from './http/request-body.js';
import { assertNotRepeated, headerCount, lacksHost } from './http/request-headers.js';
import type { Route } from './http/route.js';
import { MAX_HEADERS } from './limits.js';
import { answerPage } from './pages/pages.js';
import { loggedError } from './telemetry/error-log.js';
import type { Turn } from './turn.js';

/** Never rejects: whatever goes wrong ends in an answer, or in the end of this one connection. */
export async function answerRequest(turn: Turn, route: Route, ready: () => boolean): Promise<void> {
  try {
    await routed(turn, route, ready);
  } catch (error) {
    try {
      refuse(turn, error);
    } catch (second) {
      turn.setup.parts.logger.error(
        { requestId: turn.exchange.requestId, error: loggedError(second) },
        'an answer failed; its connection was closed',
      );
      turn.exchange.destroy();
    }
  }
}

async function routed(turn: Turn, route: Route, ready: () => boolean): Promise<void> {
  const { exchange, headers, origin, setup } = turn;
  if (origin === 'allowed' && headers.origin !== undefined && route.kind !== 'page') {
    exchange.headers.push(...setup.cors.headers(headers.origin));
  }
  if (headerCount(exchange.request) > MAX_HEADERS) {
    exchange.closes = true;
    exchange.answer(431, 'too_many_headers', undefined);
    return;
  }
  if (lacksHost(exchange.request)) {
    exchange.closes = true;
    exchange.answer(400, 'host_missing', undefined);
    return;
  }
  assertNotRepeated(exchange.request);
  switch (route.kind) {
    case 'live':
    case 'ready':
      assertMethod(turn, ['GET', 'HEAD']);
      answerHealth(exchange, route.kind === 'live' || ready());
      return;
    case 'codec':
      await answerCodecRequest(turn, route);
      return;
    case 'page':
      if (setup.parts.signIn !== undefined) {
        await answerPage(turn, route.page, setup.parts.signIn);
        return;
      }
      throw notFound(turn);
    case 'unknown':
      throw notFound(turn);
  }
}

/** @throws KeyholeError `origin_refused` */
function notFound(turn: Turn): KeyholeError {
  if (turn.exchange.request.method !== 'OPTIONS') assertOrigin(turn);
  return new KeyholeError('not_found', 'nothing is here: POST to /decode, /encode or /download');
}

function refuse({ exchange, setup }: Turn, error: unknown): void {
  if (error instanceof CallerGone) {
    exchange.destroy();
    return;
  }
  const response: ErrorResponse = errorResponse(error);
  // of an overload each request's own line says all there is
  if (response.status >= 500 && response.code !== 'overloaded') {
    setup.parts.logger.warn(
      { requestId: exchange.requestId, error: loggedError(error) },
      'a request failed here',
    );
  }
  if (exchange.answered) throw new Error('an answer had begun when the request failed', { cause: error });
  exchange.refuse(response);
}
