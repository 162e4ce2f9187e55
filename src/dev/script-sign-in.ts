// Signs a person in without a browser: the same redirects, form and code exchange that a browser goes through.
import type { ClientMetadata } from 'oidc-provider';
import { CodeFlow, type ProviderEndpoints } from './code-flow.js';
import { fetchTrusting, type TrustingFetch } from '../access/trusting-fetch.js';

const CLIENT_ID = 'keyhole-script';
const REDIRECT_URI = 'http://127.0.0.1/signed-in';
const MAX_STEPS = 10;

/** A public client of the identity provider: no secret, PKCE demanded. */
export function publicClient(clientId: string, redirectUri: string): ClientMetadata {
  return {
    client_id: clientId,
    token_endpoint_auth_method: 'none',
    redirect_uris: [redirectUri],
  };
}

/** The client that scripts sign in with. */
export const SCRIPT_CLIENT: ClientMetadata = publicClient(CLIENT_ID, REDIRECT_URI);

/**
 * Answers a person's access token.
 *
 * @throws Error if the provider refuses, e.g. because nobody has that e-mail.
 */
export async function accessTokenOf(provider: ProviderEndpoints, email: string): Promise<string> {
  const flow = new CodeFlow({ provider, clientId: CLIENT_ID, redirectUri: REDIRECT_URI });
  const { url, checks } = await flow.begin(false);
  const returned = await walk(fetchTrusting(provider.ca), url, email);
  return (await flow.finish(returned, checks)).accessToken;
}

/** Follows the redirects with a cookie jar, pressing the person's button on the sign-in page on the way. */
async function walk(fetch: TrustingFetch, start: URL, email: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let target = start;
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const isForm = target.pathname.startsWith('/interaction/');
    const answer = await fetch(target, {
      method: isForm ? 'POST' : 'GET',
      headers: {
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(isForm && { origin: target.origin }),
      },
      body: isForm ? new URLSearchParams({ person: email }) : null,
    });
    for (const cookie of answer.headers.getSetCookie()) keepCookie(cookies, cookie);
    const location = answer.headers.get('location');
    if (location === null) throw new Error(`signing in ended with ${answer.status} at ${target.pathname}`);
    target = new URL(location, target);
    if (target.href.startsWith(REDIRECT_URI)) return target;
  }
  throw new Error('signing in took too many redirects');
}

function keepCookie(cookies: Map<string, string>, header: string): void {
  const pair = header.split(';', 1)[0] ?? '';
  const at = pair.indexOf('=');
  cookies.set(pair.slice(0, at), pair.slice(at + 1));
}
