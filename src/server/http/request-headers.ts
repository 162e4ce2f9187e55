// What a request's headers say, once none that may come once has come twice.
import type { IncomingMessage } from 'node:http';
import { KeyholeError } from '../../errors.js';

export interface RequestHeaders {
  readonly authorization: string | undefined;
  /** `X-Namespace`; an empty one counts as none. */
  readonly namespace: string | undefined;
  readonly origin: string | undefined;
  /** As it came: cookies of others may be in it. Never logged. */
  readonly cookie: string | undefined;
  /** `Sec-Fetch-Site`: how the page that asks and this server are related, in the browser's eyes. */
  readonly fetchSite: string | undefined;
  /** `Sec-Fetch-Dest`: what a browser wants the answer for. */
  readonly fetchDest: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** `undefined` where the body's length is not said. */
  readonly contentLength: number | undefined;
}

/** Node silently takes the first of them. */
const ONCE: ReadonlySet<string> = new Set(['authorization', 'x-namespace', 'origin', 'host']);
const ONCE_LENGTHS: ReadonlySet<number> = new Set([...ONCE].map((name) => name.length));

/** How many headers there are, as they were sent. */
export function headerCount({ rawHeaders }: IncomingMessage): number {
  return rawHeaders.length / 2;
}

/** What stays in memory of request line and headers until the answer has left. */
export function headBytes({ url = '', rawHeaders }: IncomingMessage): number {
  let bytes = url.length; // Node reads one byte as one character
  for (const text of rawHeaders) bytes += text.length;
  return bytes;
}

/** Whether a request names no host, which HTTP/1.1 requires (RFC 9112 §3.2). */
export function lacksHost({ httpVersion, headers }: IncomingMessage): boolean {
  return httpVersion === '1.1' && headers.host === undefined;
}

/** @throws KeyholeError `header_repeated` */
export function assertNotRepeated({ rawHeaders }: IncomingMessage): void {
  const seen: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const raw = rawHeaders[i] ?? '';
    if (!ONCE_LENGTHS.has(raw.length)) continue;
    const name = raw.toLowerCase();
    if (!ONCE.has(name)) continue;
    if (seen.includes(name)) throw new KeyholeError('header_repeated', `the header ${name} was sent twice`);
    seen.push(name);
  }
}

export function readHeaders({ headers }: IncomingMessage): RequestHeaders {
  const namespace = headers['x-namespace'];
  const length = headers['content-length'];
  const { 'sec-fetch-site': fetchSite, 'sec-fetch-dest': fetchDest } = headers;
  return {
    authorization: headers.authorization,
    namespace: typeof namespace === 'string' && namespace !== '' ? namespace : undefined,
    origin: headers.origin,
    cookie: headers.cookie,
    fetchSite: typeof fetchSite === 'string' ? fetchSite : undefined,
    fetchDest: typeof fetchDest === 'string' ? fetchDest : undefined,
    contentType: headers['content-type'],
    contentEncoding: headers['content-encoding'],
    contentLength: length === undefined ? undefined : Number(length),
  };
}
