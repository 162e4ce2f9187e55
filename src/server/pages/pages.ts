// The pages for people: sign in, sign out, and why somebody may or may not see payloads.
import type { Session } from '../../access/sign-in/session.js';
import type { SignIn } from '../../access/sign-in/sign-in.js';
import { isKeyholeError, KeyholeError } from '../../errors.js';
import { shareOf } from '../admission/share.js';
import { assertSentByOwnPage, isOwnVisit, renew, sessionOf } from '../caller.js';
import { assertMethod } from '../codec-request.js';
import { errorResponse } from '../error-response.js';
import { CallerGone, readBody } from '../http/request-body.js';
import type { PageName } from '../http/route.js';
import { loggedError } from '../telemetry/error-log.js';
import { mayBeNamespace } from '../request-namespace.js';
import type { Turn, TurnInPlace } from '../turn.js';
import { html, PAGE_TYPE, pageOf, pagePolicy, type PageOptions } from './page.js';
import { signedInPage, signedOutPage } from './sign-in-pages.js';
import { putOnRecord, withRecord } from './visit.js';
import { whyPage } from './why-page.js';

/** A form of ours is one token. */
const MAX_FORM_BYTES = 1_024;
/** An issuer's answer is a code and a state. */
const MAX_QUERY_CHARS = 8_192;

/** Answers each refusal with a page too. @throws CallerGone; KeyholeError `overloaded`. */
export async function answerPage(turn: Turn, page: PageName, signIn: SignIn): Promise<void> {
  await turn.admission.during(turn.setup.parts.options.limits, async (place) => {
    try {
      assertMethod(turn, page === 'signout' ? ['POST'] : ['GET', 'HEAD']);
      assertWindow(turn);
      await served(Object.assign(turn, { place }), page, signIn);
    } catch (error) {
      if (error instanceof CallerGone) throw error;
      showRefusal(turn, signIn, error);
    }
  });
}

/**
 * In a window of its own a person sees what they look at. What another page asks for as a picture or a frame they do
 * not, and it would be on record as theirs.
 *
 * @throws KeyholeError `origin_refused`
 */
function assertWindow({ headers }: Turn): void {
  if (headers.fetchDest === undefined || headers.fetchDest === 'document') return;
  throw new KeyholeError('origin_refused', 'this page is for a window of its own');
}

async function served(turn: TurnInPlace, page: PageName, signIn: SignIn): Promise<void> {
  switch (page) {
    case 'signin':
      showSignIn(turn, signIn, await sessionIfAny(turn));
      return;
    case 'signin-start':
      await startSignIn(turn, signIn);
      return;
    case 'signin-callback':
      await finishSignIn(turn, signIn);
      return;
    case 'signout':
      await signOut(turn, signIn);
      return;
    case 'why':
      await showWhy(turn, signIn, await sessionIfAny(turn));
  }
}

function showSignIn(turn: Turn, signIn: SignIn, session: Session | undefined): void {
  const { origins } = turn.setup.parts.options.cors;
  show(
    turn,
    200,
    'ok',
    session === undefined ? signedOutPage(signIn) : signedInPage(signIn, session, origins),
  );
}

/** Only our own page and the address bar begin a sign-in; a link elsewhere leads to the page first. */
async function startSignIn(turn: Turn, signIn: SignIn): Promise<void> {
  if (!isOwnVisit(turn)) {
    redirect(turn, signIn.address('/signin'));
    return;
  }
  const { location, cookie } = await signIn.begin(turn.address);
  turn.exchange.headers.push(['Set-Cookie', cookie]);
  redirect(turn, location);
}

async function finishSignIn(turn: Turn, signIn: SignIn): Promise<void> {
  const { exchange, headers, address } = turn;
  exchange.headers.push(['Set-Cookie', signIn.forgetPending()]);
  const { identity, cookie } = await signIn.finish(queryOf(turn), headers.cookie, address);
  await putOnRecord(turn, { activity: 'sign-in', identity }, 303);
  exchange.headers.push(['Set-Cookie', cookie]);
  redirect(turn, signIn.address('/signin'));
}

async function signOut(turn: TurnInPlace, signIn: SignIn): Promise<void> {
  assertSentByOwnPage(turn);
  const session = await signIn.sessions.of(turn.headers.cookie).catch(unlessSignedOut);
  if (session !== undefined) {
    const share = shareOf(session.principal, turn.setup.parts.options.limits);
    const form = new URLSearchParams((await readBody(turn, share, MAX_FORM_BYTES)).toString('latin1'));
    if (!signIn.sessions.isFormOf(session, form.get('token') ?? ''))
      throw new KeyholeError('origin_refused', 'this form was shown to somebody else');
  }
  turn.exchange.headers.push(['Set-Cookie', signIn.sessions.end(session)]);
  if (session !== undefined)
    await putOnRecord(turn, { activity: 'sign-out', identity: session.principal }, 303);
  redirect(turn, signIn.address('/signin'));
}

async function showWhy(turn: Turn, signIn: SignIn, session: Session | undefined): Promise<void> {
  if (session === undefined)
    throw new KeyholeError('token_missing', 'what you may do here is shown to whom this server knows');
  const named = new URLSearchParams(queryOf(turn)).getAll('namespace');
  const namespaces = named.filter(mayBeNamespace); // what else was named may be a token, misplaced
  const looking = { activity: 'look', identity: session.principal, namespaces } as const;
  const page = await withRecord(turn, looking, () => whyPage(turn, signIn, session, named));
  show(turn, 200, 'ok', page);
}

/** `undefined` also where it has ended or cannot be read: the page then says to sign in. */
async function sessionIfAny(turn: Turn): Promise<Session | undefined> {
  const session = await sessionOf(turn).catch(unlessSignedOut);
  if (session !== undefined && isOwnVisit(turn)) renew(turn, session);
  return session;
}

function unlessSignedOut(error: unknown): undefined {
  if (isKeyholeError(error) && (error.code === 'token_expired' || error.code === 'token_invalid'))
    return undefined;
  throw error;
}

function showRefusal(turn: Turn, signIn: SignIn, error: unknown): void {
  const { exchange, setup } = turn;
  const { status, code, message, retryAfterSeconds } = errorResponse(error);
  const line = { requestId: exchange.requestId, error: loggedError(error) };
  if (status >= 500) setup.parts.logger.warn(line, 'a page failed here');
  else setup.parts.logger.info(line, 'a page was refused');
  if (retryAfterSeconds !== undefined) exchange.headers.push(['Retry-After', String(retryAfterSeconds)]);
  if (status === 401) exchange.headers.push(['WWW-Authenticate', 'Bearer realm="keyhole"']);
  exchange.reason = message;
  const title = code === 'token_missing' ? 'Sign in first' : 'That did not work';
  show(turn, status, code, {
    title,
    body: html`<h1>${title}</h1>
      <p>${sentenceOf(message)}</p>
      <a class="button" href="${signIn.address('/signin')}"><b>Sign in</b></a>
      <footer><span>request ${exchange.requestId}</span></footer>`,
  });
}

/** Messages are lower case and without a full stop, for logs. */
function sentenceOf(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}

function show({ exchange }: Turn, status: number, code: string, page: PageOptions): void {
  exchange.headers.push(...Object.entries(pagePolicy(page)));
  exchange.answer(status, code, Buffer.from(pageOf(page)), PAGE_TYPE);
}

function redirect({ exchange }: Turn, location: string): void {
  exchange.headers.push(['Location', location]);
  exchange.answer(303, 'ok', undefined);
}

/** @throws KeyholeError `too_large`: a stranger's long one costs too much to read. */
function queryOf({ exchange }: Turn): string {
  const url = exchange.request.url ?? '';
  const at = url.indexOf('?');
  const query = at === -1 ? '' : url.slice(at + 1);
  if (query.length <= MAX_QUERY_CHARS) return query;
  throw new KeyholeError(
    'too_large',
    `what stands behind the address is longer than ${MAX_QUERY_CHARS} bytes`,
  );
}
