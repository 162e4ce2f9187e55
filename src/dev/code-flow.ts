// The code flow at the provider of dev mode, which a browser reaches over plain http.
import type { Configuration } from 'openid-client';
import { CodeFlow as OpenIdCodeFlow, type SignInChecks } from '../access/code-flow.js';
import { fetchTrusting } from '../access/trusting-fetch.js';

export type { SignInChecks } from '../access/code-flow.js';

export interface ProviderEndpoints {
  /** As in `iss`: the https origin of the token endpoint and of the key set. */
  readonly issuer: string;
  /** Where a browser is sent to; the issuer, or the same provider over plain http on this machine. */
  readonly browserOrigin: string;
  /** PEM of the authority behind the issuer. */
  readonly ca: string;
}

export interface CodeFlowOptions {
  readonly provider: ProviderEndpoints;
  /** A public client of the provider. */
  readonly clientId: string;
  readonly redirectUri: string;
}

export interface SignedIn {
  readonly email: string;
  readonly accessToken: string;
  /** How long the token is valid from now. */
  readonly lifetimeMs: number;
}

/** One client's way through the code flow. Needs `openid-client`. */
export class CodeFlow {
  readonly #options: CodeFlowOptions;
  readonly #flow: OpenIdCodeFlow;

  constructor(options: CodeFlowOptions) {
    this.#options = options;
    this.#flow = new OpenIdCodeFlow({
      client: () => clientOf(options),
      redirectUri: options.redirectUri,
    });
  }

  /** Where to send the browser. With `again` the provider asks who it is even if it knows. */
  async begin(again: boolean): Promise<{ readonly url: URL; readonly checks: SignInChecks }> {
    const { url, checks } = await this.#flow.begin(again ? { prompt: 'login' } : {});
    return { url: new URL(url.pathname + url.search, this.#options.provider.browserOrigin), checks };
  }

  /**
   * Exchanges the code that came back with `returned`, the whole address the browser was sent to.
   *
   * @throws Error if state, nonce, issuer or code is not right, or the provider refused.
   */
  async finish(returned: URL, checks: SignInChecks): Promise<SignedIn> {
    const { claims, accessToken, lifetimeMs } = await this.#flow.finish(returned.search, checks);
    const email = claims['email'];
    if (typeof email !== 'string') throw new Error('the identity provider answered no e-mail');
    return { email, accessToken, lifetimeMs };
  }
}

async function clientOf({ provider, clientId }: CodeFlowOptions): Promise<Configuration> {
  const oidc = await import('openid-client');
  const { issuer, ca } = provider;
  const server = {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    authorization_response_iss_parameter_supported: true,
  };
  const client = new oidc.Configuration(server, clientId, undefined, oidc.None());
  client[oidc.customFetch] = fetchTrusting(ca);
  return client;
}
