// `keyhole explain`: whether somebody may do something in a namespace, and why.
import type { ExitCode } from './exit-codes.js';
import { personOf, reason, withAuthorization, type Question } from './authorization.js';

export interface ExplainOptions extends Question {
  /** E-mail, as their token would carry it. */
  readonly as: string;
}

export function explain({ as, action, namespace, file }: ExplainOptions): Promise<ExitCode> {
  return withAuthorization({ file }, async ({ authorizer }, _config, signal) => {
    const decision = await authorizer.decide(personOf(as), action, namespace, signal);
    return [
      `${as} ${decision.allowed ? 'may' : 'may not'} ${action} in ${namespace}: ${reason(decision)}`,
      ...(decision.source === 'token-claims'
        ? ['roles come from the token itself: with a token that names roles the answer differs']
        : []),
    ];
  });
}
