// From a configured sign-in to one that works; who signed out stays so over a reload.
import type { Agents } from '../access/outgoing/connecting.js';
import { SignIn } from '../access/sign-in/sign-in.js';
import type { AccessConfig, Config } from './config.js';

export interface OpenedSignIn {
  readonly signIn: SignIn;
  /** What it was made of, to tell whether that is still the same. */
  readonly described: string;
}

/** @param previous - goes on where nothing of it changed; where something did, its sign-outs hold all the same. */
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
  const ended = previous?.signIn.sessions.ended;
  return { signIn: new SignIn({ ...made, issuer, ended, agents }), described };
}

function groupsNamedIn({ rules, roles }: AccessConfig): string[] {
  const named = rules.flatMap((rule) => rule.roles).filter((role) => role.startsWith('claim:'));
  const mapped = roles.source === 'token-claims' ? Object.keys(roles.groups) : [];
  return [...new Set([...named.map((role) => role.slice('claim:'.length)), ...mapped])];
}
