// The OpenID code flow as a client goes through it: PKCE, state and nonce, the code exchanged over https.
import type { Configuration } from 'openid-client';
import { fetchTrusting } from './trusting-fetch.js';

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

/** What has to be remembered from the start of a sign-in to its end. */
export interface SignInChecks {
  readonly pkceCodeVerifier: string;
  readonly expectedState: string;
  readonly expectedNonce: string;
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

  constructor(options: CodeFlowOptions) {
    this.#options = options;
  }

  /** Where to send the browser. With `again` the provider asks who it is even if it knows. */
  async begin(again: boolean): Promise<{ readonly url: URL; readonly checks: SignInChecks }> {
    const oidc = await import('openid-client');
    const checks = {
      pkceCodeVerifier: oidc.randomPKCECodeVerifier(),
      expectedState: oidc.randomState(),
      expectedNonce: oidc.randomNonce(),
    };
    const url = oidc.buildAuthorizationUrl(await this.#client(), {
      redirect_uri: this.#options.redirectUri,
      scope: 'openid email',
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
      code_challenge_method: 'S256',
      ...(again && { prompt: 'login' }),
    });
    return { url: new URL(url.pathname + url.search, this.#options.provider.browserOrigin), checks };
  }

  /**
   * Exchanges the code that came back with `returned`, the whole address the browser was sent to.
   *
   * @throws Error if state, nonce, issuer or code is not right, or the provider refused.
   */
  async finish(returned: URL, checks: SignInChecks): Promise<SignedIn> {
    const oidc = await import('openid-client');
    const tokens = await oidc.authorizationCodeGrant(await this.#client(), returned, checks);
    const email = tokens.claims()?.['email'];
    if (typeof email !== 'string') throw new Error('the identity provider answered no e-mail');
    return { email, accessToken: tokens.access_token, lifetimeMs: (tokens.expires_in ?? 0) * 1000 };
  }

  async #client(): Promise<Configuration> {
    const oidc = await import('openid-client');
    const { issuer, ca } = this.#options.provider;
    const server = {
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      authorization_response_iss_parameter_supported: true,
    };
    const client = new oidc.Configuration(server, this.#options.clientId, undefined, oidc.None());
    client[oidc.customFetch] = fetchTrusting(ca);
    return client;
  }
}
