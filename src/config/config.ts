// What a configuration says once nothing is wrong with it: every default filled in, every file read.
import type { Rule } from '../access/policy.js';
import type { ApiKey } from '../access/roles/api-key.js';
import type { Credential } from '../access/tokens/credentials.js';
import type { IssuerOptions } from '../access/tokens/issuer-options.js';
import type { FixedKeyRead, KeylessRead } from '../keys/foreign-reads.js';
import type { Compress, WriteFormat } from '../keys/keyring.js';
import type { LocalKey } from '../keys/providers/local.js';
import type { ServerOptions } from '../server/app.js';
import type { Proxies } from './egress.js';
import type { TracingConfig } from './open-tracing.js';
import type { Address } from './reading/address.js';

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

export interface Config {
  readonly logLevel: LogLevel;
  readonly server: ServerOptions;
  readonly keys: readonly KeysConfig[];
  readonly access: AccessConfig;
  readonly audit: 'stdout' | { readonly file: string };
  /** Absent: the record goes nowhere else. */
  readonly auditWebhook?: AuditWebhookConfig;
  /** Absolute path of the file that was read; `undefined` where there is none. */
  readonly file: string | undefined;
  /** SHA-256 of the file, in hex; `undefined` where there is none. */
  readonly digest: string | undefined;
  readonly metrics: Address;
  /** Which outgoing connections go through. */
  readonly proxies: Proxies;
  /** `undefined`: no traces. */
  readonly tracing: TracingConfig | undefined;
  /** What is no mistake, but should be known: one sentence each. */
  readonly warnings: readonly string[];
}

export interface AuditWebhookConfig {
  readonly url: string;
  /** Holds the value of the `Authorization` header; read for each request. */
  readonly authorizationFile?: string;
  /** PEM. */
  readonly ca?: string;
}

/** One entry of `keys`. */
export interface KeysConfig {
  readonly namespaces: readonly string[];
  readonly write: WriteFormat;
  readonly wrap: WrappingKeyConfig;
  readonly unwrap: readonly WrappingKeyConfig[];
  readonly reads: readonly ReadConfig[];
  readonly insecureSharedKeyReads?: true;
  readonly compress?: Compress;
  readonly passThrough: 'allow' | 'refuse';
}

/** A foreign format that opens; the keys of temporal-proxy by their URIs. */
export type ReadConfig =
  | KeylessRead
  | FixedKeyRead
  | { readonly format: 'temporal-proxy'; readonly uris: readonly string[]; readonly until?: string };

export type WrappingKeyConfig =
  | { readonly provider: 'aws-kms'; readonly key: string }
  | { readonly provider: 'gcp-kms'; readonly key: string }
  | { readonly provider: 'azure-key-vault'; readonly key: string }
  | VaultTransitConfig
  | { readonly provider: 'local'; readonly keys: readonly LocalKey[] };

export interface VaultTransitConfig {
  readonly provider: 'vault-transit';
  readonly address: string;
  readonly mount: string;
  readonly vaultNamespace?: string;
  readonly key: string;
  /** Read for each call. */
  readonly tokenFile: string;
}

export interface AccessConfig {
  /** `undefined`: asked of the API. */
  readonly account: string | undefined;
  readonly issuers: readonly IssuerConfig[];
  /** Absent: nobody signs in here. */
  readonly signIn?: SignInConfig;
  readonly roles: RolesConfig;
  readonly rules: readonly Rule[];
  readonly credentials: readonly CredentialConfig[];
}

export interface CredentialConfig extends Credential {
  /** As in `people` of the static source. */
  readonly roles: readonly string[];
}

export interface SignInConfig {
  /** One of `issuers`. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly sessionSecret: string;
  readonly scopes: readonly string[];
}

export type IssuerConfig =
  | {
      readonly preset: 'temporal-cloud';
      readonly emailDomains?: readonly string[];
      readonly subjects?: readonly string[];
    }
  | (Omit<IssuerOptions, 'subjects'> & { readonly subjects?: readonly string[] });

export type RolesConfig =
  | {
      readonly source: 'temporal-cloud';
      readonly address: string;
      readonly apiVersion: string;
      readonly apiKey: ApiKey;
      /** PEM. */
      readonly ca?: string;
      readonly freshMs: number;
      readonly staleMs: number;
    }
  | { readonly source: 'token-claims'; readonly groups: Readonly<Record<string, readonly string[]>> }
  | { readonly source: 'static'; readonly people: Readonly<Record<string, readonly string[]>> };
