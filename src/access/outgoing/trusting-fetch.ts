// `fetch` that believes one certificate authority, bounded in time and size.
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Agents } from './connecting.js';

/** What of `fetch`'s options is understood. */
export interface TrustingInit {
  readonly method?: string | undefined;
  readonly headers?: Headers | Record<string, string> | undefined;
  readonly body?: string | Uint8Array | URLSearchParams | ReadableStream | ArrayBuffer | null | undefined;
  readonly signal?: AbortSignal | null | undefined;
}

export type TrustingFetch = (url: string | URL, init?: TrustingInit) => Promise<Response>;

const DEADLINE_MS = 10_000;

/**
 * A `fetch` that trusts `ca` (PEM) for https and nothing else; `undefined` is Node's own list. It follows no redirect,
 * and holds the whole answer in memory, `maxBytes` at most, by default 64 MiB. The default deadline is 10 s.
 *
 * @param agents - default is Node's own.
 */
export function fetchTrusting(
  ca: string | undefined,
  maxBytes: number = 64 * 2 ** 20,
  agents?: Agents,
): TrustingFetch {
  const trust = ca === undefined ? {} : { ca };
  return async (url, init = {}) => {
    const target = new URL(url);
    const secure = target.protocol === 'https:';
    const request = secure ? requestHttps : requestHttp;
    const agent = secure ? agents?.https : agents?.http;
    const body = await bodyOf(init.body);
    const signal = init.signal ?? AbortSignal.timeout(DEADLINE_MS);
    const headers = Object.fromEntries(new Headers(init.headers));
    if (init.body instanceof URLSearchParams)
      headers['content-type'] ??= 'application/x-www-form-urlencoded;charset=UTF-8';
    if (body !== undefined) headers['content-length'] = String(body.length);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(target, { method: init.method ?? 'GET', headers, signal, agent, ...trust })
        .on('response', resolve)
        .on('error', reject)
        .on('close', () => {
          reject(new Error(`${target.host} did not answer`)); // as to an upgrade that nobody asked for: Node tells no more
        })
        .end(body);
    });
    return responseOf(answer, maxBytes);
  };
}

async function bodyOf(body: TrustingInit['body']): Promise<Buffer | undefined> {
  if (body === null || body === undefined) return undefined;
  return Buffer.from(await new Response(body as ConstructorParameters<typeof Response>[0]).arrayBuffer());
}

async function responseOf(answer: IncomingMessage, maxBytes: number): Promise<Response> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`an answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const headers = new Headers();
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2)
    headers.append(answer.rawHeaders[index] ?? '', answer.rawHeaders[index + 1] ?? '');
  const status = answer.statusCode ?? 0;
  const bodiless = status === 204 || status === 205 || status === 304;
  return new Response(bodiless ? null : Buffer.concat(chunks), { status, headers });
}
