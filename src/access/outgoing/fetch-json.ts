// One GET over HTTPS for a small JSON document: bounded in size and time, no redirects, a private CA if need be.
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import type { Agents } from './connecting.js';

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
  return (url, options) => fetchBy(agents?.https ?? false, url, options);
}

async function fetchBy(
  agent: Agents['https'] | false,
  url: URL,
  { ca, deadlineMs, maxBytes }: FetchJsonOptions,
): Promise<unknown> {
  if (url.protocol !== 'https:') throw new Error(`${url.href} is not an https address`);
  const signal = AbortSignal.timeout(deadlineMs);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { Accept: 'application/json, application/jwk-set+json' };
    get(url, { agent, signal, headers, ...(ca === undefined ? {} : { ca }) })
      .on('response', resolve)
      .on('error', reject)
      .on('close', () => {
        reject(new Error(`${url.href} did not answer`)); // as to an upgrade that nobody asked for: Node tells no more
      });
  });
  try {
    if (answer.statusCode !== 200) throw new Error(`${url.href} answered ${answer.statusCode ?? 0}`);
    return parse(url, await readBounded(url, answer, maxBytes));
  } finally {
    answer.destroy();
  }
}

async function readBounded(url: URL, answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`${url.href} answered more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(url: URL, body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new Error(`${url.href} answered something that is not JSON`);
  }
}
