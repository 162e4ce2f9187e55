// Refusals of those whom nobody knows: they have no records of their own and are counted.
import type { Told } from './http/exchange.js';
import type { BareAnswer } from './http/malformed.js';
import type { RequestHeaders } from './http/request-headers.js';
import { routeName, type Route } from './http/route.js';
import { mayBeNamespace } from './request-namespace.js';
import type { Setup } from './turn.js';

/** What nobody was known for has no record of its own. An answer that never left is no refusal; nor is one on health. */
export function countRefusal(
  { parts }: Setup,
  { route, address, headers }: { route: Route; address: string; headers: RequestHeaders },
  { requestId, status, code, reason: message }: Told,
): void {
  if (code === 'ok' || status === 0 || route.kind === 'live' || route.kind === 'ready') return;
  const named = (route.kind === 'codec' ? route.namespace : undefined) ?? headers.namespace;
  const namespace = named !== undefined && mayBeNamespace(named) ? named : undefined; // else it may be a token, misplaced
  parts.audit.refused({ requestId, route: routeName(route), status, code, message, address, namespace });
}

/** What came too slowly is no attempt at anything: browsers open connections that they may never use. */
export function countMalformed({ parts }: Setup, address: string, { requestId, status }: BareAnswer): void {
  if (status === 408) return;
  const nothing = { message: undefined, namespace: undefined };
  parts.audit.refused({ requestId, route: 'other', status, code: 'malformed', address, ...nothing });
}
