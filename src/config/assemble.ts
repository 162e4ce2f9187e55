// From a configuration to the parts of a codec server; the only file that knows all of them.
import type { Logger } from 'pino';
import { fetchJsonBy } from '../access/outgoing/fetch-json.js';
import type { Patience } from '../access/patience.js';
import { Policy, type Authorizer } from '../access/policy.js';
import { CredentialRoles } from '../access/roles/credential-roles.js';
import type { RoleSource } from '../access/roles/role-source.js';
import { StaticRoles } from '../access/roles/static.js';
import { TemporalCloudRoles } from '../access/roles/temporal-cloud.js';
import { TokenClaimsRoles } from '../access/roles/token-claims.js';
import { CredentialAuthenticator } from '../access/tokens/credentials.js';
import { temporalCloudIssuer, type IssuerOptions } from '../access/tokens/issuer-options.js';
import { TokenVerifier } from '../access/tokens/token-verifier.js';
import { PayloadCipher } from '../codec/payload-cipher.js';
import { DataKeys } from '../keys/data-keys.js';
import { KeyCalls } from '../keys/key-calls.js';
import type { Keyring } from '../keys/keyring.js';
import type { Observer } from '../observer.js';
import type { CodecServerParts } from '../server/app.js';
import type { Metrics } from '../server/telemetry/metrics.js';
import type { Tracing } from '../server/telemetry/tracing.js';
import type { AccessConfig, Config, IssuerConfig } from './config.js';
import { openEgress, type Egress } from './egress.js';
import { openSignIn, type OpenedSignIn } from './open-sign-in.js';
import { openKeyring } from './open-wrapping-key.js';
import { probeKeys } from './probe-keys.js';
import type { Problem } from './reading/problems.js';

/** What outlives a change of the configuration. */
export interface Lasting {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
}

export interface Assembled {
  /** All but the record, which is opened once nothing else can be wrong. */
  readonly parts: Omit<CodecServerParts, 'audit'>;
  readonly keyring: Keyring;
  readonly verifier: TokenVerifier;
  readonly signIn: OpenedSignIn | undefined;
  /** Loads key sets and role lists, so that the first caller need not wait. Never rejects. */
  warm(): Promise<void>;
  /** Ends the connections to key services and to the source of roles. */
  close(): void;
}

/**
 * Asks key services whether the keys of namespaces that are listed by name work: what they *answer* may be a problem,
 * that they do not answer is only logged.
 *
 * @param previous - what ran until now: the key sets of issuers that did not change stay loaded, and wrapping keys that
 * were seen to serve two namespaces stay known.
 */
export async function assemble(
  config: Config,
  lasting: Lasting,
  previous?: Assembled,
): Promise<{ readonly assembled: Assembled } | { readonly problems: readonly Problem[] }> {
  const { logger, metrics, tracing } = lasting;
  const observer = observing(lasting);
  const egress = openEgress(config.proxies);
  const { keyring, close: closeKeyring } = await openKeyring(config.keys, egress);
  const close = (): void => {
    closeKeyring();
    egress.close();
  };
  const problems = await probeKeys(config.keys, { keyring, observer, logger });
  if (problems.length > 0) {
    close();
    return { problems };
  }
  if (previous !== undefined) keyring.succeeds(previous.keyring);
  const calls = new KeyCalls({ callsPerSecond: config.server.limits.keyCallsPerSecond, observer });
  const dataKeys = new DataKeys({ keyring, calls, observer });
  const source = roleSourceOf(config.access, egress, logger);
  const verifier = verifierOf(config.access, source, egress, logger, previous?.verifier);
  const signIn = openSignIn(config, previous?.signIn, egress.agents);
  const parts: Assembled['parts'] = {
    authenticator: new CredentialAuthenticator({
      credentials: config.access.credentials,
      others: verifier,
    }),
    authorizer: authorizerOf(config.access, source),
    ...(signIn === undefined ? {} : { signIn: signIn.signIn }),
    cipher: new PayloadCipher({ keyring, dataKeys, observer }),
    options: { ...config.server, namespaces: namesOf(config.keys) },
    logger,
    metrics,
    ...(tracing && { tracing }),
  };
  const assembled: Assembled = {
    parts,
    keyring,
    verifier,
    signIn,
    warm: async () => {
      const roles = source instanceof TemporalCloudRoles ? source.warm(namesOf(config.keys)) : undefined;
      await Promise.all([verifier.warm(), roles]);
    },
    close: () => {
      close();
      source.close();
    },
  };
  return { assembled };
}

/** Namespaces by name, in the configuration's order; patterns name none. */
function namesOf(keys: Config['keys']): string[] {
  return keys.flatMap(({ namespaces }) => namespaces).filter((name) => !name.includes('*'));
}

/** Every event is counted; what an operator should know of at once is logged too. */
function observing({ metrics, tracing, logger }: Lasting): Observer {
  const count = metrics.observer();
  return (event) => {
    count(event);
    if (event.type === 'key_call') tracing?.keyCall(event);
    if (event.type !== 'key_shared') return;
    const { key, namespaces } = event;
    logger.warn(
      { key, namespaces },
      'a wrapping key serves two namespaces: formats that bind none are off under it',
    );
  };
}

/** What decides of programs and people alike, without a key or a port. `close` it in the end. */
export function openAuthorization(
  { access, proxies }: Pick<Config, 'access' | 'proxies'>,
  logger: Logger,
): Authorization {
  const source = roleSourceOf(access, openEgress(proxies), logger);
  return {
    authorizer: authorizerOf(access, source),
    people: (namespace, patience) => source.people(namespace, patience),
    close: () => {
      source.close();
    },
  };
}

export interface Authorization {
  readonly authorizer: Authorizer;
  /** As a source of roles tells them. */
  people(namespace: string, patience: Patience): Promise<readonly string[] | undefined>;
  close(): void;
}

function authorizerOf({ rules, credentials }: AccessConfig, others: RoleSource): Policy {
  const grants = Object.fromEntries(credentials.map(({ name, roles }) => [name, roles]));
  return new Policy({ rules, source: new CredentialRoles({ grants, others }) });
}

function roleSourceOf({ roles, rules, account }: AccessConfig, egress: Egress, logger: Logger): RoleSource {
  if (roles.source === 'static') return new StaticRoles(roles);
  if (roles.source === 'token-claims') return new TokenClaimsRoles(roles);
  const wanted = new Set(rules.flatMap((rule) => rule.roles));
  const channel = egress.channelTo(roles.address);
  return new TemporalCloudRoles({
    ...roles,
    channel,
    wanted,
    logger,
    ...(account === undefined ? {} : { account }),
  });
}

/** Believes whom the configuration names; the account whose enterprise connection may speak is told by the source. */
function verifierOf(
  { issuers, account }: AccessConfig,
  source: RoleSource,
  egress: Egress,
  logger: Logger,
  previous: TokenVerifier | undefined,
): TokenVerifier {
  const accountOf = (): string | undefined =>
    source instanceof TemporalCloudRoles ? source.account() : account;
  return new TokenVerifier({
    issuers: issuers.map((issuer) => issuerOptions(issuer, accountOf)),
    fetchJson: fetchJsonBy(egress.agents),
    logger,
    previous,
  });
}

function issuerOptions(issuer: IssuerConfig, account: () => string | undefined): IssuerOptions {
  if ('preset' in issuer) return temporalCloudIssuer({ ...issuer, account });
  const { subjects } = issuer;
  return { ...issuer, subjects: () => subjects ?? ['*'] };
}
