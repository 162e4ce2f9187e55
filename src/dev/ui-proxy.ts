// The Web UI of the Temporal dev server with sign-in: a one-origin reverse proxy in front of it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { BrowserSessions, foreignCookies, type BrowserSession } from './browser-sessions.js';
import { CodeFlow, type ProviderEndpoints } from './code-flow.js';
import { forward, passBack, type Upstream } from './forward.js';
import { CALLBACK_PATH, HOME_PATH, serveKeyholePages } from './keyhole-pages.js';
import { listenOnLoopback } from './loopback.js';
import { isForThisMachine, isFromOwnPage } from './own-page.js';

const CODEC_PREFIX = '/_codec';

export interface UiProxyOptions {
  readonly port: number;
  /** The dev server's own UI. */
  readonly ui: Upstream;
  readonly codec: Upstream;
  readonly provider: ProviderEndpoints;
  /** Public client of the provider with `uiRedirectUri(port)`. */
  readonly clientId: string;
  /** Default is the system's clock. */
  readonly now?: () => number;
}

export interface UiProxy {
  readonly origin: string;
  stop(): Promise<void>;
}

/** Where the identity provider sends the browser back to. */
export function uiRedirectUri(port: number): string {
  return `http://localhost:${port}${CALLBACK_PATH}`;
}

/**
 * Serves, on `http://localhost:PORT` only: the dev server's UI with one changed answer (`/api/v1/settings`: where its
 * codec server is), `/_codec/*` = the codec server with the signed-in person's `Authorization`, and `/_keyhole`.
 */
export async function startUiProxy(options: UiProxyOptions): Promise<UiProxy> {
  const origin = `http://localhost:${options.port}`;
  const { provider, clientId } = options;
  const flow = new CodeFlow({ provider, clientId, redirectUri: uiRedirectUri(options.port) });
  const sessions = new BrowserSessions(options.now);
  const proxy: Proxy = { ...options, origin, sessions, flow, signInOrigin: provider.browserOrigin };
  const listener = await listenOnLoopback(
    () =>
      createServer((request, response) => {
        answer(proxy, request, response).catch(() => {
          fail(response);
        });
      }),
    options.port,
  );
  return { origin, stop: () => listener.close() };
}

interface Proxy extends UiProxyOptions {
  readonly origin: string;
  readonly signInOrigin: string;
  readonly sessions: BrowserSessions;
  readonly flow: CodeFlow;
}

async function answer(proxy: Proxy, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '/';
  if (!isForThisMachine(request)) {
    say(response, 403, 'this address is not served here');
  } else if (!path.startsWith('/') || path.startsWith('//')) {
    say(response, 400, 'the path must begin with one slash');
  } else if (request.headers.host !== new URL(proxy.origin).host && request.method === 'GET') {
    response.writeHead(307, { location: proxy.origin + path }).end(); // cookies belong to one host name
  } else if (await serveKeyholePages(proxy, request, response)) {
    return;
  } else if (path.startsWith(`${CODEC_PREFIX}/`)) {
    await serveCodec(proxy, request, response);
  } else if (path === '/' && proxy.sessions.of(request) === undefined) {
    response.writeHead(303, { location: HOME_PATH }).end();
  } else {
    await serveUi(proxy, request, response);
  }
}

async function serveCodec(proxy: Proxy, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hasOwnToken = request.headers.authorization !== undefined; // good or bad, it hides the cookie
  const session = request.method !== 'POST' || hasOwnToken ? undefined : proxy.sessions.of(request);
  if (session !== undefined && !isFromOwnPage(request, proxy.origin)) {
    say(response, 403, 'a request with the session cookie must come from a page of this Web UI');
    return;
  }
  const codecAnswer = await forward(request, {
    upstream: proxy.codec,
    path: (request.url ?? '').slice(CODEC_PREFIX.length),
    header: (name, value) => (name === 'cookie' ? undefined : value),
    ...(session !== undefined && { add: { authorization: `Bearer ${session.accessToken}` } }),
  });
  passBack(codecAnswer, response);
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
    header: (name, value) => {
      if (name === 'cookie') return foreignCookies(value);
      return isSettings && (name === 'accept-encoding' || name.startsWith('if-')) ? undefined : value;
    },
  });
  if (isSettings && uiAnswer.statusCode === 200) await sendSettings(proxy, request, uiAnswer, response);
  else passBack(uiAnswer, response);
}

/** Nobody is signed in to the dev server itself, so no cookie is needed to start or end workflows. */
function isOfAnotherPage(proxy: Proxy, request: IncomingMessage): boolean {
  const changes = request.method !== 'GET' && request.method !== 'HEAD';
  return changes && request.headers.origin !== undefined && !isFromOwnPage(request, proxy.origin);
}

async function sendSettings(
  proxy: Proxy,
  request: IncomingMessage,
  uiAnswer: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of uiAnswer) chunks.push(chunk as Buffer);
  const settings = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  const changed = { ...settings, ...ownSettings(proxy.origin, proxy.sessions.of(request)) };
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(changed));
}

/** What the Web UI is told instead of the dev server's own settings. It shows the message where a decode was refused. */
function ownSettings(origin: string, session: BrowserSession | undefined): Record<string, unknown> {
  return {
    Codec: {
      Endpoint: origin + CODEC_PREFIX,
      PassAccessToken: false,
      IncludeCredentials: true,
      DefaultErrorMessage:
        session === undefined
          ? 'The codec server opened nothing here: nobody is signed in.'
          : `The codec server opened nothing here for ${session.email}.`,
      DefaultErrorLink: origin + HOME_PATH,
    },
  };
}

function say(response: ServerResponse, status: number, sentence: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${sentence}\n`);
}

function fail(response: ServerResponse): void {
  if (response.headersSent) response.destroy();
  else say(response, 502, 'the server behind this address did not answer');
}
