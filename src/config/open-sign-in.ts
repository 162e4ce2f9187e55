// From a configured sign-in to one that works, and that outlives a reload where nothing of it changed.
import type { Agents } from '../access/connecting.js';
import { SignIn } from '../access/sign-in.js';
import type { AccessConfig, Config } from './config.js';

export interface OpenedSignIn {
  readonly signIn: SignIn;
  /** What it was made of, to tell whether that is still the same. */
  readonly described: string;
}

/** @param previous - goes on where nothing changed: it knows which sessions ended by sign-out. */
export function openSignIn(
  { access, server }: Config,
  previous: OpenedSignIn | undefined,
  agents?: Agents,
): OpenedSignIn | undefined {
  const entry = access.issuers.find((one) => !('preset' in one) && one.issuer === access.signIn?.issuer);
  if (access.signIn === undefined || entry === undefined || 'preset' in entry) return undefined;
  const { clientId, clientSecret, sessionSecret, scopes } = access.signIn;
  const { publicUrl, cors } = server;
  const asked = { clientId, clientSecret, scopes, groups: groupsNamedIn(access) };
  const made = { ...asked, sessionSecret, publicUrl, origins: cors.origins };
  const described = JSON.stringify({ ...made, entry });
  if (previous?.described === described) return previous;
  const subjects = entry.subjects ?? ['*'];
  const issuer = { ...entry, subjects: () => subjects };
  return { signIn: new SignIn({ ...made, issuer, agents }), described };
}

function groupsNamedIn({ rules, roles }: AccessConfig): string[] {
  const named = rules.flatMap((rule) => rule.roles).filter((role) => role.startsWith('claim:'));
  const mapped = roles.source === 'token-claims' ? Object.keys(roles.groups) : [];
  return [...new Set([...named.map((role) => role.slice('claim:'.length)), ...mapped])];
}
