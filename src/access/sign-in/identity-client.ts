// We as a client of the issuer that people sign in at: what its discovery document says, kept for an hour.
import type { ClientAuth, Configuration } from 'openid-client';
import { ageMs, momentOf, systemClock, type Clock, type Moment } from '../../clock.js';
import { KeyholeError } from '../../errors.js';
import { fetchTrusting, type TrustingFetch } from '../outgoing/trusting-fetch.js';
import type { SignInOptions } from './sign-in.js';

const FRESH_MS = 3_600_000;
/** How long a failure is answered from memory. */
const FAILED_MS = 5_000;
const DEADLINE_S = 3;
const MAX_ANSWER_BYTES = 1 << 20;

/** Needs `openid-client`. */
export class IdentityClient {
  readonly #options: SignInOptions;
  readonly #clock: Clock;
  #found: { readonly client: Promise<Configuration>; readonly at: Moment; failed: boolean } | undefined;

  constructor(options: SignInOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** @throws KeyholeError `jwks_unavailable` */
  get(): Promise<Configuration> {
    const found = this.#found;
    if (found !== undefined && ageMs(this.#clock, found.at) < (found.failed ? FAILED_MS : FRESH_MS))
      return found.client;
    const made = { client: this.#discover(), at: momentOf(this.#clock), failed: false };
    made.client.catch(() => (made.failed = true));
    this.#found = made;
    return made.client;
  }

  /** OpenID Connect Discovery 1.0 §4; the ID token's signature is checked although it comes over TLS. */
  async #discover(): Promise<Configuration> {
    const { issuer, clientId, clientSecret, agents } = this.#options;
    const oidc = await import('openid-client');
    const [basic, post] = [oidc.ClientSecretBasic(clientSecret), oidc.ClientSecretPost(clientSecret)];
    const authenticate: ClientAuth = (server, ...rest) => {
      const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
      (methods.includes('client_secret_basic') ? basic : post)(server, ...rest);
    };
    try {
      return await oidc.discovery(new URL(issuer.issuer), clientId, undefined, authenticate, {
        [oidc.customFetch]: answering(fetchTrusting(issuer.ca, MAX_ANSWER_BYTES, agents)),
        execute: [oidc.enableNonRepudiationChecks],
        timeout: DEADLINE_S,
      });
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

/** No answer, or a 5xx, is an outage of the issuer, not a refusal. */
function answering(fetch: TrustingFetch): TrustingFetch {
  return async (url, init) => {
    const answer = await fetch(url, init).catch((cause: unknown) => {
      throw unavailable(cause);
    });
    if (answer.status >= 500) throw unavailable(undefined);
    return answer;
  };
}

function unavailable(cause: unknown): KeyholeError {
  const message = 'the identity provider does not answer now';
  return new KeyholeError('jwks_unavailable', message, { cause, retryAfterMs: FAILED_MS });
}
