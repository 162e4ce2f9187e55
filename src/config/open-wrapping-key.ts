// From a configured wrapping key to one that works; the only file that loads a cloud SDK.
import { readFile } from 'node:fs/promises';
import type { KMS } from '@aws-sdk/client-kms';
import type { TokenCredential } from '@azure/identity';
import type { KeyClientOptions } from '@azure/keyvault-keys';
import type { KeyManagementServiceClient } from '@google-cloud/kms';
import { fetchTrusting, type TrustingInit } from '../access/outgoing/trusting-fetch.js';
import type { ForeignRead } from '../keys/foreign-reads.js';
import { isNamespaceTemplate } from '../keys/key-template.js';
import { Keyring, type WrappingKeyOf } from '../keys/keyring.js';
import { awsKms } from '../keys/providers/aws-kms.js';
import { azureKeyVault } from '../keys/providers/azure-key-vault.js';
import { gcpKms } from '../keys/providers/gcp-kms.js';
import { LocalWrappingKey } from '../keys/providers/local.js';
import { secretBoxKey } from '../keys/providers/secret-box.js';
import { vaultTransit } from '../keys/providers/vault-transit.js';
import { parseProxyKeyUri } from '../keys/proxy-key-uri.js';
import type { WrappingKey } from '../keys/wrapping-key.js';
import type { KeysConfig, ReadConfig, VaultTransitConfig, WrappingKeyConfig } from './config.js';
import { NO_PROXIES, openEgress, type Egress } from './egress.js';
import type { Environment } from './environment.js';

export interface OpenedKeyring {
  readonly keyring: Keyring;
  /** Ends the connections to key services. */
  readonly close: () => void;
}

const GOOGLE = 'cloudkms.googleapis.com:443';
const CONNECT_MS = 1_000;
const ANSWER_MS = 2_000;

/** For keys whose names have no place for one. */
const ANY_NAMESPACE = 'any';

/** The client of the service, and what signs in to it. */
export const AZURE_SDKS = ['@azure/keyvault-keys', '@azure/identity'] as const;

type Sdk = '@aws-sdk/client-kms' | '@google-cloud/kms' | (typeof AZURE_SDKS)[number];

/** Clients of key services by what tells them apart, how each is closed, and the way they go. */
interface Clients {
  readonly open: Map<string, { readonly client: unknown; readonly close: () => unknown }>;
  readonly egress: Egress;
}

/** @throws Error where an SDK is missing; TypeError for entries that cannot be. */
export async function openKeyring(
  entries: readonly KeysConfig[],
  egress: Egress = openEgress(NO_PROXIES),
): Promise<OpenedKeyring> {
  const clients: Clients = { open: new Map(), egress };
  const opened = [];
  for (const { wrap, unwrap, reads, ...rest } of entries) {
    const others: WrappingKeyOf[] = [];
    for (const key of unwrap) others.push(await openWrappingKey(key, clients));
    const foreign: ForeignRead[] = [];
    for (const read of reads) foreign.push(await openRead(read, clients));
    opened.push({
      ...rest,
      reads: foreign,
      wrap: await openWrappingKey(wrap, clients),
      unwrap: others,
      sharesKey: [wrap, ...unwrap].some((key) => key.provider === 'local' || !isNamespaceTemplate(key.key)),
    });
  }
  return {
    keyring: new Keyring(opened),
    close: () => {
      for (const { close } of clients.open.values()) close();
    },
  };
}

async function openWrappingKey(config: WrappingKeyConfig, clients: Clients): Promise<WrappingKeyOf> {
  switch (config.provider) {
    case 'local': {
      const key = new LocalWrappingKey(config.keys);
      return () => key;
    }
    case 'aws-kms': {
      return awsKms({ client: await sharedAwsClient(regionOf(config.key), clients), key: config.key });
    }
    case 'gcp-kms': {
      const open = (): Promise<KeyManagementServiceClient> => gcpClient(clients.egress);
      const client = await shared(clients, 'gcp', open, (opened) => opened.close());
      return gcpKms({ client, key: config.key });
    }
    case 'azure-key-vault':
      return openAzureKeyVault(config.key, clients);
    case 'vault-transit':
      return openVaultTransit(config, clients.egress);
  }
}

/** The keys of temporal-proxy are opened by what their URIs say. */
async function openRead(read: ReadConfig, clients: Clients): Promise<ForeignRead> {
  if (read.format !== 'temporal-proxy') return read;
  const { uris, ...rest } = read;
  const keys: Record<string, WrappingKey> = {};
  for (const uri of uris) keys[uri] = await openProxyKey(uri, clients);
  return { ...rest, keys };
}

async function openProxyKey(uri: string, clients: Clients): Promise<WrappingKey> {
  const parsed = parseProxyKeyUri(uri);
  switch (parsed.scheme) {
    case 'base64key':
      return secretBoxKey(uri);
    case 'awskms': {
      const { key, region = regionOf(key), context: foreignContext } = parsed;
      return awsKms({ client: await sharedAwsClient(region, clients), key, foreignContext })(ANY_NAMESPACE);
    }
    case 'gcpkms':
      return (await openWrappingKey({ provider: 'gcp-kms', key: parsed.key }, clients))(ANY_NAMESPACE);
    case 'azurekeyvault':
      return (await openAzureKeyVault(parsed.key, clients))(ANY_NAMESPACE);
  }
}

function sharedAwsClient(region: string | undefined, clients: Clients): Promise<KMS> {
  const open = (): Promise<KMS> => awsClient(region, clients.egress);
  return shared(clients, `aws ${region ?? ''}`, open, (client) => {
    client.destroy();
  });
}

/** The token's file is read for each call: whoever renews it needs no signal of ours. */
export function openVaultTransit(
  { tokenFile, ...options }: Omit<VaultTransitConfig, 'provider'>,
  { keptAgents }: Egress = openEgress(NO_PROXIES),
): WrappingKeyOf {
  const token = async (): Promise<string> => (await readFile(tokenFile, 'utf8')).trim();
  if (keptAgents === undefined) return vaultTransit({ ...options, token });
  const proxied = fetchTrusting(undefined, undefined, keptAgents);
  return vaultTransit({ ...options, token, fetch: (url, init) => proxied(url, init as TrustingInit) });
}

async function shared<Client>(
  clients: Clients,
  name: string,
  open: () => Promise<Client>,
  close: (client: Client) => unknown,
): Promise<Client> {
  const known = clients.open.get(name);
  if (known !== undefined) return known.client as Client;
  const client = await open();
  clients.open.set(name, { client, close: () => close(client) });
  return client;
}

/** What to do where an SDK is missing, or `undefined`. */
export function sdkProblem(sdk: Sdk): string | undefined {
  try {
    import.meta.resolve(sdk);
    return undefined;
  } catch {
    return installLine(sdk);
  }
}

function installLine(sdk: Sdk): string {
  return `the package ${sdk} is not installed: npm install ${sdk}`;
}

/** What keeps a key of AWS KMS from being asked, or `undefined`. */
export async function awsProblem(key: string, env: Environment): Promise<string | undefined> {
  const missing = sdkProblem('@aws-sdk/client-kms');
  if (missing !== undefined) return missing;
  if (regionOf(key) !== undefined || (env['AWS_REGION'] ?? '') !== '') return undefined;
  const client = await awsClient(undefined, openEgress(NO_PROXIES));
  const known = await client.config.region().then(
    () => true,
    () => false,
  );
  client.destroy();
  return known ? undefined : 'the AWS Region is not known: set AWS_REGION, or name the key by its ARN';
}

/** Credentials, Region and endpoint as every AWS SDK reads them. Retries are ours (`key-calls.ts`). */
async function awsClient(region: string | undefined, { keptAgents }: Egress): Promise<KMS> {
  const { KMS } = await import('@aws-sdk/client-kms').catch(missing('@aws-sdk/client-kms'));
  return new KMS({
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      ...(keptAgents && { httpAgent: keptAgents.http, httpsAgent: keptAgents.https }),
    },
    ...(region === undefined ? {} : { region }),
  });
}

/** Credentials as every Google SDK finds them. */
async function gcpClient(egress: Egress): Promise<KeyManagementServiceClient> {
  const { KeyManagementServiceClient } = await import('@google-cloud/kms').catch(
    missing('@google-cloud/kms'),
  );
  const { address, options } = egress.channelTo(GOOGLE);
  const { hostname: servicePath, port } = new URL(`tcp://${address}`);
  const agent = egress.keptAgents?.https;
  return new KeyManagementServiceClient({
    ...options,
    ...(address === GOOGLE ? {} : { servicePath, port: Number(port) }),
    ...(agent && { clientOptions: { transporterOptions: { agent } } }),
  });
}

/** Signed in as every Azure SDK finds to (`DefaultAzureCredential`). Retries are ours. */
async function openAzureKeyVault(key: string, clients: Clients): Promise<WrappingKeyOf> {
  const [{ CryptographyClient, KeyClient }, { DefaultAzureCredential }] = await Promise.all([
    import('@azure/keyvault-keys').catch(missing('@azure/keyvault-keys')),
    import('@azure/identity').catch(missing('@azure/identity')),
  ]);
  const once = { retryOptions: { maxRetries: 0 }, ...azureWay(clients.egress) };
  const signIn = (): Promise<TokenCredential> => Promise.resolve(new DefaultAzureCredential({ ...once }));
  const credential = await shared(clients, 'azure', signIn, () => undefined);
  return azureKeyVault({
    key,
    keyClient: new KeyClient(new URL(key).origin, credential, { ...once }),
    cryptographyClient: (version) => new CryptographyClient(version, credential, { ...once }),
  });
}

type AzurePolicy = NonNullable<KeyClientOptions['additionalPolicies']>[number]['policy'];

/** Azure's own policy for proxies leaves a request alone that has its agent. */
function azureWay({ keptAgents }: Egress): Pick<KeyClientOptions, 'additionalPolicies'> {
  if (keptAgents === undefined) return {};
  const { http, https } = keptAgents;
  const sendRequest: AzurePolicy['sendRequest'] = (request, next) => {
    request.agent = new URL(request.url).protocol === 'https:' ? https : http;
    return next(request);
  };
  return { additionalPolicies: [{ position: 'perCall', policy: { name: 'egress', sendRequest } }] };
}

function missing(sdk: Sdk): (cause: unknown) => never {
  return (cause) => {
    throw new Error(installLine(sdk), { cause });
  };
}

/** An ARN names its Region. */
function regionOf(key: string): string | undefined {
  return key.startsWith('arn:') ? key.split(':')[3] : undefined;
}
