// The e-mail that somebody's roles are looked up by; where none counts, a refusal that tells them why.
import { KeyholeError } from '../../errors.js';
import type { NoEmail, Principal } from '../principal.js';

const WHY: Readonly<Record<NoEmail, string>> = {
  absent: 'your sign-in carries no e-mail where one is looked for: setting "claims.email" of the issuer',
  unverified:
    'your identity provider does not say that your e-mail is verified: setting "claims.emailVerified" of the issuer',
  foreign: 'your e-mail is of a domain that does not count here: setting "emailDomains" of the issuer',
};

/** @throws KeyholeError `email_missing` */
export function emailOf({ email, noEmail = 'absent' }: Principal): string {
  if (email !== undefined) return email;
  throw new KeyholeError('email_missing', WHY[noEmail]);
}
