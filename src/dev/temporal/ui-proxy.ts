// One origin for the Temporal dev server's own Web UI and the codec server, so that a session of the one reaches the other.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ProviderEndpoints } from '../identity/identity-provider.js';
import { listenOnLoopback } from '../loopback.js';
import { isForThisMachine, isFromOwnPage } from '../own-page.js';
import { forward, passBack, type Upstream } from './forward.js';

const CODEC_PREFIX = '/_codec';

export interface UiProxyOptions {
  readonly port: number;
  /** The dev server's own UI. */
  readonly ui: Upstream;
  /** Its `publicUrl` is `codecUrl(port)`. */
  readonly codec: Upstream;
  /** Where the codec server's people sign in. */
  readonly provider: ProviderEndpoints;
}

export interface UiProxy {
  readonly origin: string;
  stop(): Promise<void>;
}

/** Where browsers reach the Web UI. */
export function uiOrigin(port: number): string {
  return `http://localhost:${port}`;
}

/** Where browsers reach the codec server. */
export function codecUrl(port: number): string {
  return uiOrigin(port) + CODEC_PREFIX;
}

/**
 * Serves, on `http://localhost:PORT` only: the dev server's UI with one changed answer (`/api/v1/settings`: where its
 * codec server is), and `/_codec/*` = the codec server, which alone knows who is signed in.
 */
export async function startUiProxy(options: UiProxyOptions): Promise<UiProxy> {
  const proxy = { ...options, origin: uiOrigin(options.port) };
  const listener = await listenOnLoopback(
    () =>
      createServer((request, response) => {
        answer(proxy, request, response).catch(() => {
          fail(response);
        });
      }),
    options.port,
  );
  return { origin: proxy.origin, stop: () => listener.close() };
}

interface Proxy extends UiProxyOptions {
  readonly origin: string;
}

async function answer(proxy: Proxy, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '/';
  if (!isForThisMachine(request)) {
    say(response, 403, 'this address is not served here');
  } else if (!path.startsWith('/') || path.startsWith('//')) {
    say(response, 400, 'the path must begin with one slash');
  } else if (request.headers.host !== new URL(proxy.origin).host && request.method === 'GET') {
    response.writeHead(307, { location: proxy.origin + path }).end(); // cookies belong to one host name
  } else if (path.startsWith(`${CODEC_PREFIX}/`)) {
    await serveCodec(proxy, request, response);
  } else {
    await serveUi(proxy, request, response);
  }
}

/** As it is, but for the way to the provider: over the one of its addresses that browsers trust. */
async function serveCodec(proxy: Proxy, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { issuer, browserOrigin } = proxy.provider;
  const path = (request.url ?? '').slice(CODEC_PREFIX.length);
  const codecAnswer = await forward(request, { upstream: proxy.codec, path });
  passBack(codecAnswer, response, (name, value) =>
    name === 'location' && value.startsWith(`${issuer}/`)
      ? browserOrigin + value.slice(issuer.length)
      : value,
  );
}

async function serveUi(proxy: Proxy, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '/';
  if (isOfAnotherPage(proxy, request)) {
    say(response, 403, 'another page may not change anything here');
    return;
  }
  const isSettings = request.method === 'GET' && /^\/api\/v1\/settings(\?|$)/.test(path);
  const uiAnswer = await forward(request, {
    upstream: proxy.ui,
    path,
    header: (name, value) =>
      isSettings && (name === 'accept-encoding' || name.startsWith('if-')) ? undefined : value,
  });
  if (isSettings && uiAnswer.statusCode === 200) await sendSettings(proxy, uiAnswer, response);
  else passBack(uiAnswer, response);
}

/** Nobody is signed in to the dev server itself, so no cookie is needed to start or end workflows. */
function isOfAnotherPage(proxy: Proxy, request: IncomingMessage): boolean {
  const changes = request.method !== 'GET' && request.method !== 'HEAD';
  return changes && request.headers.origin !== undefined && !isFromOwnPage(request, proxy.origin);
}

async function sendSettings(
  { port }: Proxy,
  uiAnswer: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of uiAnswer) chunks.push(chunk as Buffer);
  const settings = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify({ ...settings, Codec: codecSettings(port) }));
}

/** What the Web UI is told in the place of the dev server's own. It shows message and link where a decode was refused. */
function codecSettings(port: number): Readonly<Record<string, unknown>> {
  return {
    Endpoint: codecUrl(port),
    PassAccessToken: false,
    IncludeCredentials: true,
    DefaultErrorMessage: 'The codec server opened nothing for you here.',
    DefaultErrorLink: `${codecUrl(port)}/why`,
  };
}

function say(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${sentence}\n`);
}

function fail(response: ServerResponse): void {
  if (response.headersSent) response.destroy();
  else say(response, 502, 'the server behind this address did not answer');
}
