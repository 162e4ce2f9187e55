// `keyhole explain`: whether somebody may do something in a namespace, and why.
import type { Patience } from '../access/patience.js';
import type { Decision } from '../access/policy.js';
import type { Authorization } from '../config/assemble.js';
import type { AccessConfig } from '../config/config.js';
import { nobodyVouchesFor } from '../config/sections/vouching.js';
import {
  hasExpired,
  personOf,
  programOf,
  reason,
  WrongUsage,
  withAuthorization,
  type Question,
} from './authorization.js';
import type { ExitCode } from './exit-codes.js';

export interface ExplainOptions extends Question {
  /** E-mail, as their token would carry it, or the name of a credential. */
  readonly whom: { readonly email: string } | { readonly credential: string };
}

export function explain({ whom, file, ...question }: ExplainOptions): Promise<ExitCode> {
  return withAuthorization({ file }, (authorization, { access }, patience) => {
    const asked: Asked = { ...question, authorization, access, patience };
    return 'email' in whom ? ofPerson(whom.email, asked) : ofCredential(whom.credential, asked);
  });
}

interface Asked extends Omit<Question, 'file'> {
  readonly authorization: Authorization;
  readonly access: AccessConfig;
  readonly patience: Patience;
}

async function ofPerson(email: string, asked: Asked): Promise<string[]> {
  const { authorization, access, action, namespace, patience } = asked;
  const person = personOf(email, access.issuers);
  const decision = await authorization.authorizer.decide(person, action, namespace, patience);
  return [
    answer(email, decision.allowed, whyOfPerson(email, decision), asked),
    ...(decision.source === 'token-claims'
      ? ['roles come from the token itself: with a token that names roles the answer differs']
      : []),
  ];
}

/** The server cannot say more than that no e-mail counts; here it is known why. */
function whyOfPerson(email: string, decision: Decision): string {
  if (decision.allowed || decision.code !== 'email_missing') return reason(decision);
  return reason({ ...decision, message: nobodyVouchesFor(email) });
}

async function ofCredential(name: string, asked: Asked): Promise<string[]> {
  const { authorization, access, action, namespace, patience } = asked;
  const found = access.credentials.find((one) => one.name === name);
  if (found === undefined) throw new WrongUsage(`--credential: ${noSuch(access)}`);
  const who = `credential ${name}`;
  if (hasExpired(found))
    return [answer(who, false, 'it has expired (token_expired, from credentials)', asked)];
  const decision = await authorization.authorizer.decide(programOf(found), action, namespace, patience);
  return [answer(who, decision.allowed, reason(decision), asked)];
}

function noSuch({ credentials }: AccessConfig): string {
  if (credentials.length === 0) return 'access.credentials names none';
  return `must be one of access.credentials: ${credentials.map(({ name }) => name).join(', ')}`;
}

function answer(who: string, allowed: boolean, why: string, { action, namespace }: Asked): string {
  return `${who} ${allowed ? 'may' : 'may not'} ${action} in ${namespace}: ${why}`;
}
