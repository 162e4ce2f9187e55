// Whether some issuer of the configuration vouches for an e-mail, by the rule that the server judges tokens with.
import {
  asciiLowerCase,
  temporalCloudIssuer,
  type IssuerOptions,
} from '../../access/tokens/issuer-options.js';
import { mayVouch } from '../../access/tokens/token-principal.js';
import type { IssuerConfig } from '../config.js';

/** Whether a token could carry it, of whichever issuer. */
export function isEmail(text: string): boolean {
  return mayVouch(asciiLowerCase(text), OF_ANY_DOMAIN);
}

export function isVouchedFor(email: string, issuers: readonly IssuerConfig[]): boolean {
  return issuers.some((issuer) => mayVouch(asciiLowerCase(email), optionsOf(issuer)));
}

/** What is missing where nobody vouches for an e-mail. */
export function nobodyVouchesFor(email: string): string {
  const domain = asciiLowerCase(email.slice(email.lastIndexOf('@') + 1));
  return `no issuer vouches for e-mails of ${domain}: setting access.issuers[].emailDomains`;
}

const OF_ANY_DOMAIN: IssuerOptions = { issuer: 'any', audience: [] };

/** Who of its people may speak is no question of their e-mail. */
function optionsOf(issuer: IssuerConfig): IssuerOptions {
  return 'preset' in issuer ? temporalCloudIssuer(issuer) : { ...issuer, subjects: () => ['*'] };
}
