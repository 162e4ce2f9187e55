// Which of our addresses a request names: the exact decoded path decides, once.
import type { Action } from '../../access/policy.js';

export type PageName = 'signin' | 'signin-start' | 'signin-callback' | 'signout' | 'why';

export type Route =
  | { readonly kind: 'codec'; readonly action: Action; readonly namespace: string | undefined }
  | { readonly kind: 'page'; readonly page: PageName }
  | { readonly kind: 'live' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'unknown' };

const UNKNOWN: Route = { kind: 'unknown' };
const ACTIONS: readonly Action[] = ['decode', 'encode', 'download'];
const PAGES: ReadonlyMap<string, PageName> = new Map([
  ['/signin', 'signin'],
  ['/signin/start', 'signin-start'],
  ['/signin/callback', 'signin-callback'],
  ['/signout', 'signout'],
  ['/why', 'why'],
]);

/**
 * `/decode`, `/{namespace}/decode`, and one slash too many before the last part (a UI joins strings); the query does
 * not count. What is no path (`*`, an absolute address) is unknown.
 */
export function routeOf(url: string): Route {
  const path = decodedPath(url);
  if (path === undefined) return UNKNOWN;
  if (path === '/health/live') return { kind: 'live' };
  if (path === '/health/ready') return { kind: 'ready' };
  const page = PAGES.get(path);
  if (page !== undefined) return { kind: 'page', page };
  const parts = path.split('/').slice(1);
  if (parts.length > 1 && parts.at(-2) === '') parts.splice(-2, 1);
  const action = ACTIONS.find((name) => name === parts.at(-1));
  const [namespace] = parts;
  if (action === undefined || parts.length > 2 || namespace === '') return UNKNOWN;
  return { kind: 'codec', action, namespace: parts.length === 2 ? namespace : undefined };
}

/** The name of a route in logs and metrics. */
export function routeName(route: Route): string {
  if (route.kind === 'codec') return route.action;
  if (route.kind === 'page') return route.page;
  return route.kind === 'unknown' ? 'other' : route.kind;
}

function decodedPath(url: string): string | undefined {
  if (!url.startsWith('/')) return undefined;
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
