// `keyhole who-can`: everybody who may do something in a namespace, by which rule.
import { isVouchedFor } from '../config/sections/vouching.js';
import {
  hasExpired,
  personOf,
  programOf,
  reason,
  withAuthorization,
  type Question,
} from './authorization.js';
import type { ExitCode } from './exit-codes.js';

/** One line each: who, and why. Nobody: one line that says so. */
export function whoCan({ action, namespace, file }: Question): Promise<ExitCode> {
  return withAuthorization({ file }, async (authorization, { access }, patience) => {
    const emails = await authorization.people(namespace, patience);
    const people = (emails ?? []).filter((email) => isVouchedFor(email, access.issuers));
    const programs = access.credentials.filter((one) => !hasExpired(one));
    const candidates = [
      ...people.map((email) => [email, personOf(email, access.issuers)] as const),
      ...programs.map((one) => [`credential ${one.name}`, programOf(one)] as const),
    ];
    const lines: string[] = [];
    for (const [who, principal] of candidates) {
      const decision = await authorization.authorizer.decide(principal, action, namespace, patience);
      if (decision.allowed) lines.push(`${who}: ${reason(decision)}`);
    }
    if (emails === undefined) lines.push('people are known by their tokens only, and cannot be listed');
    return lines.length > 0 ? lines : [`nobody may ${action} in ${namespace}`];
  });
}
