// The roles that rules and lists of people may name.

const FIXED: ReadonlySet<string> = new Set([
  'account:owner',
  'account:admin',
  'account:developer',
  'account:finance_admin',
  'account:read',
  'account:metrics_read',
  'inherited:admin',
  'inherited:write',
  'inherited:read',
  'namespace:admin',
  'namespace:write',
  'namespace:read',
]);
const CUSTOM = /^custom:[\w.-]{1,128}$/;
/** A group as a token names it. */
const CLAIM = /^claim:[^\p{Cc}]{1,256}$/u;

/** What a role may be called, for people. */
export const ROLE_NAMES = [...FIXED, 'custom:ID', 'claim:GROUP'].join(', ');

/** Whether some source of roles can ever give this role. */
export function isRole(text: string): boolean {
  return FIXED.has(text) || CUSTOM.test(text) || CLAIM.test(text);
}
