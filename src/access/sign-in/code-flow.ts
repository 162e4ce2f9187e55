// The OpenID code flow as a client goes through it: PKCE, state and nonce, the code exchanged over https.
import type { Configuration } from 'openid-client';

export interface CodeFlowOptions {
  /** The provider and who we are there, asked for at each step. */
  readonly client: () => Promise<Configuration>;
  readonly redirectUri: string;
  /** Default is `openid email`. */
  readonly scopes?: readonly string[];
}

/** What has to be remembered from the start of a sign-in to its end. */
export interface SignInChecks {
  readonly pkceCodeVerifier: string;
  readonly expectedState: string;
  readonly expectedNonce: string;
}

export interface CodeFlowTokens {
  /** Of the ID token, checked as OpenID Connect Core 1.0 §3.1.3.7 says. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly accessToken: string;
  /** How long the access token is valid from now; 0 where the provider did not say. */
  readonly lifetimeMs: number;
}

/** One client's way through the code flow (RFC 6749 §4.1, RFC 7636). Needs `openid-client`. */
export class CodeFlow {
  readonly #options: CodeFlowOptions;

  constructor(options: CodeFlowOptions) {
    this.#options = options;
  }

  /** Where to send the browser. `parameters` are sent to the provider beside ours. */
  async begin(
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly url: URL; readonly checks: SignInChecks }> {
    const oidc = await import('openid-client');
    const checks = {
      pkceCodeVerifier: oidc.randomPKCECodeVerifier(),
      expectedState: oidc.randomState(),
      expectedNonce: oidc.randomNonce(),
    };
    const url = oidc.buildAuthorizationUrl(await this.#options.client(), {
      redirect_uri: this.#options.redirectUri,
      scope: (this.#options.scopes ?? ['openid', 'email']).join(' '),
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
      code_challenge_method: 'S256',
      ...parameters,
    });
    return { url, checks };
  }

  /**
   * Exchanges the code that came back in `search`, the query of the address the browser was sent to.
   *
   * @throws Error if state, nonce, issuer, code or ID token is not right, or the provider refused.
   */
  async finish(search: string, checks: SignInChecks): Promise<CodeFlowTokens> {
    const oidc = await import('openid-client');
    const returned = new URL(this.#options.redirectUri);
    returned.search = search;
    const tokens = await oidc.authorizationCodeGrant(await this.#options.client(), returned, {
      ...checks,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    if (claims === undefined) throw new Error('the identity provider answered no ID token');
    return { claims, accessToken: tokens.access_token, lifetimeMs: (tokens.expires_in ?? 0) * 1000 };
  }
}
