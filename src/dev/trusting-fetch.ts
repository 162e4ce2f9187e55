// `fetch` for https servers whose certificate comes from an authority of our own.
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';

/** What of `fetch`'s options is understood. */
export interface TrustingInit {
  readonly method?: string | undefined;
  readonly headers?: Headers | Record<string, string> | undefined;
  readonly body?: string | Uint8Array | URLSearchParams | ReadableStream | ArrayBuffer | null | undefined;
  readonly signal?: AbortSignal | null | undefined;
}

export type TrustingFetch = (url: string | URL, init?: TrustingInit) => Promise<Response>;

/**
 * A `fetch` that trusts `ca` (PEM) for https and nothing else. It follows no redirect, and holds the whole answer in
 * memory. The default deadline is 10 s.
 */
export function fetchTrusting(ca: string): TrustingFetch {
  return async (url, init = {}) => {
    const target = new URL(url);
    const request = target.protocol === 'https:' ? requestHttps : requestHttp;
    const body = await bodyOf(init.body);
    const signal = init.signal ?? AbortSignal.timeout(10_000);
    const headers = Object.fromEntries(new Headers(init.headers));
    if (init.body instanceof URLSearchParams)
      headers['content-type'] ??= 'application/x-www-form-urlencoded;charset=UTF-8';
    if (body !== undefined) headers['content-length'] = String(body.length);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(target, { method: init.method ?? 'GET', headers, signal, ca })
        .on('response', resolve)
        .on('error', reject)
        .end(body);
    });
    return responseOf(answer);
  };
}

async function bodyOf(body: TrustingInit['body']): Promise<Buffer | undefined> {
  if (body === null || body === undefined) return undefined;
  return Buffer.from(await new Response(body as ConstructorParameters<typeof Response>[0]).arrayBuffer());
}

async function responseOf(answer: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const headers = new Headers();
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2)
    headers.append(answer.rawHeaders[index] ?? '', answer.rawHeaders[index + 1] ?? '');
  const status = answer.statusCode ?? 0;
  const bodiless = status === 204 || status === 205 || status === 304;
  return new Response(bodiless ? null : Buffer.concat(chunks), { status, headers });
}
