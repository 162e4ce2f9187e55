// Passes a request on to another server and its answer back, both streamed.
import { request as requestHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as requestHttps } from 'node:https';

/** Headers that belong to one connection only (RFC 9110 §7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export interface Upstream {
  /** Origin of the server, e.g. `http://127.0.0.1:8233`. */
  readonly origin: string;
  /** PEM of the authority it is trusted by, for https. */
  readonly ca?: string;
}

export interface ForwardOptions {
  readonly upstream: Upstream;
  /** Path and query to ask for. */
  readonly path: string;
  /** Changes a request header: `undefined` leaves it out. Names are in lower case; `host` never passes. */
  readonly header?: (name: string, value: string) => string | undefined;
}

/** Sends the request on and answers the upstream's answer, its body not yet read. */
export async function forward(request: IncomingMessage, options: ForwardOptions): Promise<IncomingMessage> {
  const target = new URL(options.upstream.origin);
  const send = target.protocol === 'https:' ? requestHttps : requestHttp;
  return await new Promise((resolve, reject) => {
    const outgoing = send({
      hostname: target.hostname,
      port: target.port,
      path: options.path,
      method: request.method,
      headers: headersOf(request, options, target.host),
      ca: options.upstream.ca,
    });
    outgoing.on('response', resolve).on('error', reject);
    outgoing.on('close', () => {
      request.unpipe(outgoing).resume(); // an upstream that answers early reads no further: the sender must not wait
    });
    request.on('close', () => {
      if (!request.complete) outgoing.destroy();
    });
    request.pipe(outgoing);
  });
}

/** Names and values in turn, as they came, so that what was sent twice arrives twice. */
function headersOf(request: IncomingMessage, options: ForwardOptions, host: string): string[] {
  const headers = ['host', host];
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    const name = (request.rawHeaders[index] ?? '').toLowerCase();
    const value = request.rawHeaders[index + 1] ?? '';
    if (name === 'host' || HOP_BY_HOP.has(name)) continue;
    const changed = options.header === undefined ? value : options.header(name, value);
    if (changed !== undefined) headers.push(name, changed);
  }
  if (request.headers['transfer-encoding'] !== undefined) headers.push('transfer-encoding', 'chunked');
  return headers;
}

/** Streams an upstream's answer back as it is, but for what `header` changes; names come to it in lower case. */
export function passBack(
  answer: IncomingMessage,
  response: ServerResponse,
  header = (_name: string, value: string) => value,
): void {
  const headers: string[] = [];
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2) {
    const name = (answer.rawHeaders[index] ?? '').toLowerCase();
    if (!HOP_BY_HOP.has(name)) headers.push(name, header(name, answer.rawHeaders[index + 1] ?? ''));
  }
  response.writeHead(answer.statusCode ?? 502, headers);
  response.on('close', () => {
    answer.destroy();
  });
  answer.on('error', () => {
    response.destroy();
  });
  answer.pipe(response);
}
