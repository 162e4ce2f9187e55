// What `/why` shows: what somebody may do in a namespace, by which rule, and what is missing.
import type { Action, Decision } from '../../access/policy.js';
import type { Session } from '../../access/sign-in/session.js';
import type { SignIn } from '../../access/sign-in/sign-in.js';
import { CallerDeadline } from '../admission/caller-deadline.js';
import { decided, takeTurn } from '../caller-waits.js';
import { requestNamespace } from '../request-namespace.js';
import type { Turn } from '../turn.js';
import { html, type Html, type PageOptions } from './page.js';
import { namespaceForm, signOutForm, who } from './sign-in-pages.js';

const MAX_LISTED = 20;

/** What a person would ask for, in a person's words. */
const ASKED: readonly { readonly action: Action; readonly words: string }[] = [
  { action: 'decode', words: 'see payloads in the clear' },
  { action: 'encode', words: 'have payloads sealed, to start, signal or update workflows' },
];

/**
 * Asks the same policy as `/decode` does.
 *
 * @throws KeyholeError `namespace_invalid`, `rate_limited`, `overloaded`, `authz_unavailable`
 */
export async function whyPage(
  turn: Turn,
  signIn: SignIn,
  session: Session,
  names: readonly string[],
): Promise<PageOptions> {
  const [named = '', other] = names;
  const body =
    named === '' && other === undefined
      ? await overview(turn, signIn, session)
      : await judged(turn, session, requestNamespace(named, other));
  return {
    title: 'What you may do',
    body: html`<h1>What you may do</h1>
      ${who(session)} ${body} ${namespaceForm(signIn, named)} ${signOutForm(signIn, session)}`,
  };
}

/** The namespaces that the configuration names, the first of them. */
async function overview(turn: Turn, signIn: SignIn, session: Session): Promise<Html> {
  const { namespaces = [] } = turn.setup.parts.options;
  const decide = await deciding(turn, session);
  const lines: Html[] = [];
  for (const namespace of namespaces.slice(0, MAX_LISTED)) {
    const { allowed } = await decide('decode', namespace);
    lines.push(
      html`<a class="button" href="${signIn.address('/why')}?namespace=${namespace}"
        ><b>${namespace}</b><span>you may${allowed ? '' : ' not'} see its payloads</span></a
      >`,
    );
  }
  return html`${lines}`;
}

async function judged(turn: Turn, session: Session, namespace: string): Promise<Html> {
  const decide = await deciding(turn, session);
  const answers: Html[] = [];
  for (const { action, words } of ASKED) answers.push(answerOf(await decide(action, namespace), words));
  return html`<h2>In ${namespace}</h2>
    ${answers}`;
}

/** Asks the policy for somebody, all questions of one page within one deadline. */
async function deciding(
  turn: Turn,
  { principal }: Session,
): Promise<(action: Action, namespace: string) => Promise<Decision>> {
  await takeTurn(turn, principal);
  const deadline = new CallerDeadline(turn.clock);
  return (action, namespace) =>
    decided(turn, { principal, deadline, wanted: [namespace] }, (authorizer, patience) =>
      authorizer.decide(principal, action, namespace, patience),
    );
}

function answerOf(decision: Decision, words: string): Html {
  if (!decision.allowed)
    return html`<p><strong>You may not ${words}.</strong> What is missing: ${decision.message}.</p>`;
  const { rule, role, source, ageMs } = decision;
  const seconds = Math.round(ageMs / 1000);
  return html`<p>
    <strong>You may ${words}</strong>, by rule ${rule + 1} of the configuration, as <code>${role}</code>; the
    role is told by <code>${source}</code>, ${seconds} s ago.
  </p>`;
}
