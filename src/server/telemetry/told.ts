// What is told of a request: its trace, its metric, its line in the log.
import type { Exchange, Told } from '../http/exchange.js';
import { routeName, type Route } from '../http/route.js';
import type { Setup } from '../turn.js';
import type { RequestSpan } from './tracing.js';

/** What orchestrators ask every other second is no trace. */
export function spanOf(
  { parts }: Setup,
  route: Route,
  { request, requestId }: Exchange,
): RequestSpan | undefined {
  if (parts.tracing === undefined || route.kind === 'live' || route.kind === 'ready') return undefined;
  const { traceparent } = request.headers;
  return parts.tracing.begin(routeName(route), {
    method: request.method ?? '',
    requestId,
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
  });
}

/** A metric and a line in the log. */
export function tell(
  { parts }: Setup,
  route: Route,
  { requestId, status, code, durationMs, aborted }: Told,
  span: RequestSpan | undefined,
): void {
  const name = routeName(route);
  parts.metrics?.request({ route: name, status, code, durationMs });
  const line = {
    requestId,
    traceId: span?.traceId,
    route: name,
    status,
    code,
    durationMs: Math.round(durationMs * 10) / 10,
    aborted: aborted || undefined,
  };
  if (route.kind === 'live' || route.kind === 'ready') parts.logger.debug(line, 'request');
  else parts.logger.info(line, 'request');
}
