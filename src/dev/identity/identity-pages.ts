// The identity provider's sign-in page: one button a person, no password.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type Provider from 'oidc-provider';
import { html, sendPage } from '../../server/pages/page.js';
import { isFromOwnPage } from '../own-page.js';
import { subjectOf, type Person } from '../people.js';

const PATH = /^\/interaction\/([\w-]{1,64})$/;
const MAX_FORM_BYTES = 4096;

/** Where an authorization request is answered by a person. */
export function interactionPath(uid: string): string {
  return `/interaction/${uid}`;
}

export interface SignInPageOptions {
  readonly provider: Provider;
  readonly people: readonly Person[];
  /** Origins that the form's redirects may end at. */
  readonly formOrigins: readonly string[];
}

/** Serves the sign-in page and takes its form. Answers `false` for every other path. */
export async function serveSignInPage(
  options: SignInPageOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (!PATH.test(request.url ?? '')) return false;
  try {
    const interaction = await options.provider.interactionDetails(request, response);
    if (interaction.prompt.name === 'consent') await consent(options, request, response);
    else if (request.method !== 'POST')
      showPeople(options, String(interaction.params['client_id']), response);
    else if (isFromOwnPage(request, originOf(request))) await signIn(options, request, response);
    else
      sendPage(response, 403, { title: 'Refused', body: html`<h1>This form was sent by another page</h1>` });
  } catch {
    sendPage(response, 400, {
      title: 'Sign in',
      body: html`<h1>This sign-in has expired</h1>
        <p>Go back to the page you came from, and start again.</p>`,
    });
  }
  return true;
}

/** Of the page, which is there over https and over http. */
function originOf({ socket, headers }: IncomingMessage): string {
  return `${socket instanceof TLSSocket ? 'https' : 'http'}://${headers.host ?? ''}`;
}

function showPeople(options: SignInPageOptions, client: string, response: ServerResponse): void {
  const buttons = options.people.map(
    (person) =>
      html`<button name="person" value="${person.email}">
        <b>${person.name}</b><span>${person.email}</span><span>${person.about ?? ''}</span>
      </button>`,
  );
  sendPage(response, 200, {
    title: 'Sign in',
    formOrigins: options.formOrigins,
    body: html`<h1>Who are you?</h1>
      <p>
        Sign in to <strong>${client}</strong>. These people exist on this machine only; they have no
        passwords.
      </p>
      <form method="post">${buttons}</form>
      <footer>Identity provider of <code>keyhole dev</code></footer>`,
  });
}

async function signIn(
  options: SignInPageOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const email = (await formOf(request)).get('person');
  const person = options.people.find((one) => one.email === email);
  const result =
    person === undefined
      ? { error: 'access_denied', error_description: 'nobody of that name' }
      : { login: { accountId: subjectOf(person), remember: false } };
  await options.provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

/** Nobody is asked what a client may do: all clients are this machine's own. */
async function consent(
  options: SignInPageOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await options.provider.interactionFinished(
    request,
    response,
    { consent: {} },
    { mergeWithLastSubmission: true },
  );
}

/** The fields of a small form. */
async function formOf(request: IncomingMessage): Promise<URLSearchParams> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > MAX_FORM_BYTES) throw new Error('the form is too large');
  }
  return new URLSearchParams(text);
}
