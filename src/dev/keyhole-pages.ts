// `/_keyhole` in front of the Web UI: who is signed in, what they will see, sign in, sign out.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BrowserSession, BrowserSessions } from './browser-sessions.js';
import type { CodeFlow } from './code-flow.js';
import { isFromOwnPage } from './own-page.js';
import { html, sendPage, type Html } from '../server/page.js';
import { NAMESPACES, PEOPLE, sightOf } from './people.js';

export const HOME_PATH = '/_keyhole';
export const CALLBACK_PATH = '/_keyhole/callback';

export interface KeyholePagesOptions {
  /** Origin of the Web UI, where these pages are. */
  readonly origin: string;
  /** Origin of the identity provider, where the sign-in form leads. */
  readonly signInOrigin: string;
  readonly flow: CodeFlow;
  readonly sessions: BrowserSessions;
}

/** Serves what is below `/_keyhole`. Answers `false` for every other path. */
export async function serveKeyholePages(
  options: KeyholePagesOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { pathname } = new URL(request.url ?? '/', options.origin);
  if (pathname !== HOME_PATH && !pathname.startsWith(`${HOME_PATH}/`)) return false;
  const route = `${request.method === 'HEAD' ? 'GET' : (request.method ?? '')} ${pathname}`;
  if (route === `GET ${HOME_PATH}`) showHome(options, request, response);
  else if (route === `GET ${CALLBACK_PATH}`) await finishSignIn(options, request, response);
  else if (request.method === 'POST' && !isFromOwnPage(request, options.origin)) refuse(response);
  else if (route === `POST ${HOME_PATH}/sign-in`) await beginSignIn(options, response);
  else if (route === `POST ${HOME_PATH}/sign-out`)
    redirect(response, HOME_PATH, [options.sessions.close(request)]);
  else sendPage(response, 404, { title: 'Not found', body: html`<h1>There is no such page</h1>` });
  return true;
}

function refuse(response: ServerResponse): void {
  sendPage(response, 403, {
    title: 'Refused',
    body: html`<h1>Refused</h1>
      <p>This form was sent by another page.</p>`,
  });
}

function showHome(options: KeyholePagesOptions, request: IncomingMessage, response: ServerResponse): void {
  const session = options.sessions.of(request);
  sendPage(response, 200, {
    title: 'Keyhole',
    formOrigins: [options.signInOrigin],
    body: session === undefined ? signedOut() : signedIn(session),
  });
}

function signedOut(): Html {
  return html`<h1>Who looks into this Temporal?</h1>
    <p>
      Nobody is signed in. The payloads are encrypted; the codec server opens them only for people whose role
      allows it.
    </p>
    <form method="post" action="${HOME_PATH}/sign-in">
      <button><b>Sign in</b><span>as an admin, a reader or a stranger</span></button>
    </form>
    <footer><a href="/namespaces">Look at the Web UI without signing in</a></footer>`;
}

function signedIn(session: BrowserSession): Html {
  const about = PEOPLE.find((person) => person.email === session.email)?.about ?? 'no role anywhere';
  const links = NAMESPACES.map(
    (namespace) =>
      html`<a class="button" href="/namespaces/${namespace}/workflows">
        <b>${namespace}</b><span>You see ${sightOf(session.email, namespace)}</span>
      </a>`,
  );
  return html`<h1>You are ${session.email}</h1>
    <p>${about}</p>
    ${links}
    <footer>
      <form method="post" action="${HOME_PATH}/sign-in"><button>Sign in as someone else</button></form>
      <form method="post" action="${HOME_PATH}/sign-out"><button>Sign out</button></form>
    </footer>`;
}

async function beginSignIn(options: KeyholePagesOptions, response: ServerResponse): Promise<void> {
  const { url, checks } = await options.flow.begin(true);
  redirect(response, url.href, [options.sessions.remember(checks)]);
}

async function finishSignIn(
  options: KeyholePagesOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const checks = options.sessions.recall(request);
  try {
    if (checks === undefined) throw new Error('this browser did not begin a sign-in');
    const signedIn = await options.flow.finish(new URL(request.url ?? '', options.origin), checks);
    redirect(response, HOME_PATH, options.sessions.open(request, signedIn));
  } catch {
    sendPage(response, 400, {
      title: 'Not signed in',
      body: html`<h1>That did not work</h1>
        <p>The answer of the identity provider does not belong to a sign-in that this browser began.</p>
        <a class="button" href="${HOME_PATH}"><b>Start again</b></a>`,
    });
  }
}

function redirect(response: ServerResponse, location: string, cookies: readonly string[]): void {
  response.writeHead(303, { location, 'set-cookie': [...cookies], 'cache-control': 'no-store' }).end();
}
