// What `/signin` shows: where to sign in, or as whom one is signed in.
import type { Session } from '../../access/sign-in/session.js';
import type { SignIn } from '../../access/sign-in/sign-in.js';
import { html, type Html, type PageOptions } from './page.js';

/** Origins that a page leads to. */
const MAX_LISTED = 5;

export function signedOutPage(signIn: SignIn): PageOptions {
  return {
    title: 'Sign in',
    body: html`<h1>Sign in to see payloads</h1>
      <p>
        The payloads of your workflows are encrypted. This server opens them for people whose Temporal role
        allows it.
      </p>
      <a class="button first" href="${signIn.address('/signin/start')}">
        <b>Sign in</b><span>at ${new URL(signIn.issuer).host}</span>
      </a>`,
  };
}

/** @param origins - of the Web UIs that may ask with the session. */
export function signedInPage(signIn: SignIn, session: Session, origins: readonly string[]): PageOptions {
  const uis = origins
    .slice(0, MAX_LISTED)
    .map((origin) => html`<a class="button" href="${origin}"><b>To the Web UI</b><span>${origin}</span></a>`);
  return {
    title: 'Signed in',
    body: html`<h1>You are signed in</h1>
      ${who(session)}
      <p>Pages of the Web UI that are open show what you may see once they are loaded again.</p>
      ${uis} ${namespaceForm(signIn, '')} ${signOutForm(signIn, session)}`,
  };
}

/** The person, as their issuer names them. */
export function who({ principal }: Session): Html {
  const { email, subject, issuer } = principal;
  return html`<dl>
    <dt>E-mail</dt>
    <dd>${email ?? 'none that counts here'}</dd>
    <dt>Subject</dt>
    <dd>${subject}</dd>
    <dt>Signed in at</dt>
    <dd>${new URL(issuer).host}</dd>
  </dl>`;
}

/** Asks what the person may do in a namespace. */
export function namespaceForm(signIn: SignIn, namespace: string): Html {
  return html`<form class="ask" method="get" action="${signIn.address('/why')}">
    <label for="namespace">What may I do in this namespace?</label>
    <input
      id="namespace"
      name="namespace"
      value="${namespace}"
      placeholder="orders.a1b2c"
      required
      maxlength="255"
    />
    <button>Show</button>
  </form>`;
}

export function signOutForm(signIn: SignIn, { formToken }: Session): Html {
  return html`<footer>
    <form method="post" action="${signIn.address('/signout')}">
      <input type="hidden" name="token" value="${formToken}" />
      <button>Sign out</button>
    </form>
  </footer>`;
}
