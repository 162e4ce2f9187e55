// An OpenID provider for dev mode and tests: real code flow, JWT access tokens, people without passwords.
import { generateKeyPair, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { promisify } from 'node:util';
import type Provider from 'oidc-provider';
import type { ClientMetadata, Configuration, JWK } from 'oidc-provider';
import { html, pageHeaders, pageOf } from '../../server/pages/page.js';
import type { Certificates } from '../certificates.js';
import { listenOnLoopback } from '../loopback.js';
import { isForThisMachine } from '../own-page.js';
import { subjectOf, type Person } from '../people.js';
import { interactionPath, serveSignInPage } from './identity-pages.js';
import { accessTokenOf, SCRIPT_CLIENT } from './script-sign-in.js';

export interface IdentityProviderOptions {
  /** Certificate of the https listener, and the authority that a caller trusts. */
  readonly certificates: Certificates;
  readonly people: readonly Person[];
  /** Who may send people here. */
  readonly clients: readonly ClientMetadata[];
  /** `aud` of the access tokens. */
  readonly audience: string;
  /** Port of the issuer, which is https. Default is any free one. */
  readonly port?: number;
  /**
   * Where given, the provider answers over plain http on this port too (0: any), so that a browser that does not know
   * the authority gets no certificate warning.
   */
  readonly browserPort?: number;
  /** How long an access token is valid, in seconds. Default is 8 h. */
  readonly tokenSeconds?: number;
}

export interface ProviderEndpoints {
  /** As in `iss`: the https origin of the token endpoint and of the key set. */
  readonly issuer: string;
  /** Where a browser is sent to; the issuer, or the same provider over plain http on this machine. */
  readonly browserOrigin: string;
  /** PEM of the authority behind the issuer. */
  readonly ca: string;
}

export interface IdentityProvider extends ProviderEndpoints {
  readonly jwksUrl: string;
  /** Signs a person in through the code flow, PKCE included, and answers their access token. */
  tokenFor(email: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts the provider on the loopback addresses. Needs `oidc-provider` and `openid-client`. */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const handler: { answer: RequestListener } = { answer: notYet };
  const answer: RequestListener = (request, response) => {
    if (isForThisMachine(request)) handler.answer(request, response);
    else response.writeHead(403).end();
  };
  const { cert, key, ca } = options.certificates;
  const secure = await listenOnLoopback(() => createTlsServer({ cert, key }, answer), options.port ?? 0);
  const listeners = [secure];
  const stop = async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  try {
    const issuer = `https://localhost:${secure.port}`;
    let browserOrigin = issuer;
    if (options.browserPort !== undefined) {
      const plain = await listenOnLoopback(() => createServer(answer), options.browserPort);
      listeners.push(plain);
      browserOrigin = `http://localhost:${plain.port}`;
    }
    const endpoints = { issuer, browserOrigin, ca };
    handler.answer = await makeHandler(issuer, options);
    return {
      ...endpoints,
      jwksUrl: `${issuer}/jwks`,
      tokenFor: (email) => accessTokenOf(endpoints, email),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function notYet(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(503, { 'retry-after': '1' }).end();
}

async function makeHandler(issuer: string, options: IdentityProviderOptions): Promise<RequestListener> {
  const clients: readonly ClientMetadata[] = [...options.clients, SCRIPT_CLIENT];
  const provider = await makeProvider(issuer, await configurationOf(clients, options));
  const origins = clients.flatMap((client) => client.redirect_uris ?? []).map((uri) => new URL(uri).origin);
  const pages = { provider, people: options.people, formOrigins: [...new Set(origins)] };
  const callback = provider.callback();
  return (request, response) => {
    forgetSession(request);
    void serveSignInPage(pages, request, response).then(async (served) => {
      if (!served) await callback(request, response);
    });
  };
}

/** Nobody stays signed in here: whoever comes is asked who they are, and may be somebody else. */
function forgetSession({ headers }: IncomingMessage): void {
  const cookies = headers.cookie?.split('; ').filter((pair) => !/^_session(\.sig)?=/.test(pair));
  if (cookies !== undefined) headers.cookie = cookies.join('; ');
}

/**
 * `oidc-provider` says on the console that it supports Node from 22 on, and that what it keeps in memory is lost with
 * the process. What is used of it is tested on Node 20, and the second is meant so: these two lines are kept from
 * people's terminals. Everything else passes.
 */
async function makeProvider(issuer: string, configuration: Configuration): Promise<Provider> {
  const warn = console.warn;
  console.warn = (...values: unknown[]) => {
    if (!/oidc-provider WARNING: (Unsupported runtime|a quick start)/.test(String(values[0])))
      warn(...values);
  };
  try {
    const { default: ProviderClass } = await import('oidc-provider');
    return new ProviderClass(issuer, configuration);
  } finally {
    console.warn = warn;
  }
}

const SCOPES = 'openid email profile groups offline_access';

async function configurationOf(
  clients: readonly ClientMetadata[],
  options: IdentityProviderOptions,
): Promise<Configuration> {
  const tokenSeconds = options.tokenSeconds ?? 8 * 3600;
  const claimsOf = (subject: string) => {
    const person = options.people.find((one) => subjectOf(one) === subject);
    if (person === undefined) return undefined;
    return {
      sub: subject,
      email: person.email,
      email_verified: person.emailVerified ?? true,
      name: person.name,
      ...person.claims,
    };
  };
  return {
    clients: [...clients],
    jwks: { keys: [await signingKey()] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: SCOPES.split(' '),
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name'],
      groups: ['groups', 'permissions'],
    },
    conformIdTokenClaims: false,
    pkce: { required: (_context, client) => client.clientAuthMethod === 'none' },
    ttl: { ...lifetimes(tokenSeconds) },
    interactions: { url: (_context, interaction) => interactionPath(interaction.uid) },
    clientBasedCORS: () => false,
    findAccount: (_context, accountId) => {
      const claims = claimsOf(accountId);
      return claims && { accountId, claims: () => claims };
    },
    extraTokenClaims: (_context, token) => {
      const claims = 'accountId' in token ? claimsOf(token.accountId) : undefined;
      if (claims === undefined) return undefined;
      const { email, email_verified, groups, permissions } = claims;
      return { email, email_verified, groups, permissions };
    },
    loadExistingGrant: async (context) => {
      const { client, session, provider } = context.oidc;
      if (client === undefined || session?.accountId === undefined) return undefined;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(SCOPES);
      grant.addResourceScope(RESOURCE, SCOPES);
      await grant.save();
      return grant;
    },
    renderError: (context, out) => {
      const page = {
        title: 'Not signed in',
        body: html`<h1>Not signed in</h1>
          <p>${out.error_description ?? out.error}</p>`,
      };
      context.set(pageHeaders(page));
      context.body = pageOf(page);
    },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          audience: options.audience,
          scope: SCOPES,
          accessTokenFormat: 'jwt',
          accessTokenTTL: tokenSeconds,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  };
}

/** The one protected resource there is; a client need not name it. */
const RESOURCE = 'urn:keyhole:codec';

function lifetimes(tokenSeconds: number): NonNullable<Configuration['ttl']> {
  const hour = 3600;
  return {
    AccessToken: tokenSeconds,
    AuthorizationCode: 60,
    Grant: 24 * hour,
    IdToken: hour,
    Interaction: hour,
    RefreshToken: 24 * hour,
    Session: 24 * hour,
  };
}

async function signingKey(): Promise<JWK> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const kid = randomBytes(8).toString('hex');
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), use: 'sig', alg: 'RS256', kid };
}
