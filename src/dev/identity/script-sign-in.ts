// Signs a person in without a browser: the same redirects, form and code exchange that a browser goes through.
import type { ClientMetadata } from 'oidc-provider';
import { fetchTrusting, type TrustingFetch } from '../../access/outgoing/trusting-fetch.js';
import { CodeFlow } from '../../access/sign-in/code-flow.js';
import type { ProviderEndpoints } from './identity-provider.js';

const REDIRECT_URI = 'http://127.0.0.1/signed-in';
const MAX_STEPS = 10;

/** What scripts get access tokens as: a public client of the identity provider, no secret, PKCE demanded. */
export const SCRIPT_CLIENT = {
  client_id: 'keyhole-script',
  token_endpoint_auth_method: 'none',
  redirect_uris: [REDIRECT_URI],
} as const satisfies ClientMetadata;

/**
 * Answers a person's access token.
 *
 * @throws Error if the provider refuses, e.g. because nobody has that e-mail.
 */
export async function accessTokenOf({ issuer, ca }: ProviderEndpoints, email: string): Promise<string> {
  const oidc = await import('openid-client');
  const fetch = fetchTrusting(ca);
  const [id, options] = [SCRIPT_CLIENT.client_id, { [oidc.customFetch]: fetch }];
  const client = await oidc.discovery(new URL(issuer), id, undefined, oidc.None(), options);
  const flow = new CodeFlow({ client: () => Promise.resolve(client), redirectUri: REDIRECT_URI });
  const { url, checks } = await flow.begin();
  const walk = new Walk(fetch, email);
  const returned = await walk.to((target) => target.href.startsWith(REDIRECT_URI), url);
  return (await flow.finish(returned.search, checks)).accessToken;
}

export interface CodecAddresses {
  /** Where it listens. */
  readonly origin: string;
  /** Where browsers reach it. */
  readonly publicUrl: string;
}

/**
 * Answers the `Cookie` header of a person who signed in at the codec server.
 *
 * @throws Error if it, or the provider, refuses.
 */
export async function sessionOf(codec: CodecAddresses, ca: string, email: string): Promise<string> {
  const { origin, publicUrl } = codec;
  const direct = (target: URL) => new URL(target.href.replace(publicUrl, origin));
  const walk = new Walk(fetchTrusting(ca), email, direct);
  await walk.to((target) => target.href === `${origin}/signin`, new URL(`${origin}/signin/start`));
  return walk.cookies();
}

/** A way through redirects with a cookie jar, pressing the person's button on the sign-in page. */
class Walk {
  readonly #fetch: TrustingFetch;
  readonly #email: string;
  readonly #direct: (target: URL) => URL;
  readonly #cookies = new Map<string, string>();

  /** @param direct - where to ask in the place of an address. Default is that address itself. */
  constructor(fetch: TrustingFetch, email: string, direct = (target: URL) => target) {
    this.#fetch = fetch;
    this.#email = email;
    this.#direct = direct;
  }

  /** Asks from `start` on until a redirect leads to the end, which is not asked any more. */
  async to(isEnd: (target: URL) => boolean, start: URL): Promise<URL> {
    let target = start;
    for (let step = 0; step < MAX_STEPS; step += 1) {
      const answer = await this.#ask(target);
      const location = answer.headers.get('location');
      if (location === null) throw new Error(`signing in ended with ${answer.status} at ${target.pathname}`);
      target = this.#direct(new URL(location, target));
      if (isEnd(target)) return target;
    }
    throw new Error('signing in took too many redirects');
  }

  /** The `Cookie` header. */
  cookies(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async #ask(target: URL): Promise<Response> {
    const isForm = target.pathname.startsWith('/interaction/');
    const answer = await this.#fetch(target, {
      method: isForm ? 'POST' : 'GET',
      headers: { cookie: this.cookies(), ...(isForm && { origin: target.origin }) },
      body: isForm ? new URLSearchParams({ person: this.#email }) : null,
    });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = ''] = line.split(';', 1);
      const at = pair.indexOf('=');
      this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return answer;
  }
}
