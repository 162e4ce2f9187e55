// One GET over HTTPS for a small JSON document: bounded in size and time, no redirects, a private CA if need be.
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Agents } from './connecting.js';
import { fetchTrusting } from './trusting-fetch.js';

export interface FetchJsonOptions {
  /** PEM of a private CA, which then is the only one; default is Node's own list. */
  readonly ca: string | undefined;
  /** From the call to the last byte. */
  readonly deadlineMs: number;
  readonly maxBytes: number;
}

export type FetchJson = (url: URL, options: FetchJsonOptions) => Promise<unknown>;

/**
 * Opens a connection of its own each time: a half-open one could not be told from a slow issuer.
 *
 * @throws Error for anything but a 200 with JSON of at most `maxBytes` within `deadlineMs`.
 */
export const fetchJson = fetchJsonBy(undefined);

/** @param agents - must keep no connections. `undefined` is Node's own. */
export function fetchJsonBy(agents: Agents | undefined): FetchJson {
  const own: Agents = { http: new HttpAgent(), https: new HttpsAgent() };
  return async (url, { ca, deadlineMs, maxBytes }) => {
    if (url.protocol !== 'https:') throw new Error(`${url.href} is not an https address`);
    const answer = await fetchTrusting(
      ca,
      maxBytes,
      agents ?? own,
    )(url, {
      headers: { Accept: 'application/json, application/jwk-set+json' },
      signal: AbortSignal.timeout(deadlineMs),
    });
    if (answer.status !== 200) throw new Error(`${url.href} answered ${answer.status}`);
    try {
      return await answer.json();
    } catch {
      throw new Error(`${url.href} answered something that is not JSON`);
    }
  };
}
