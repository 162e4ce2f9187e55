// From a configured wrapping key to one that works; the only file that loads a cloud SDK.
import type { KMS } from '@aws-sdk/client-kms';
import { Keyring, type WrappingKeyOf } from '../keys/keyring.js';
import { isNamespaceTemplate } from '../keys/key-template.js';
import { awsKms } from '../keys/providers/aws-kms.js';
import { LocalWrappingKey } from '../keys/providers/local.js';
import type { KeysConfig, WrappingKeyConfig } from './config.js';
import type { Environment } from './environment.js';

export interface OpenedKeyring {
  readonly keyring: Keyring;
  /** Ends the connections to key services. */
  readonly close: () => void;
}

const CONNECT_MS = 1_000;
const ANSWER_MS = 2_000;
const INSTALL = 'the package @aws-sdk/client-kms is not installed: npm install @aws-sdk/client-kms';

/** @throws Error where an SDK is missing; TypeError for entries that cannot be. */
export async function openKeyring(entries: readonly KeysConfig[]): Promise<OpenedKeyring> {
  const clients = new Map<string, KMS>();
  const opened = [];
  for (const { namespaces, write, reads, passThrough, wrap, unwrap } of entries) {
    const others: WrappingKeyOf[] = [];
    for (const key of unwrap) others.push(await openWrappingKey(key, clients));
    opened.push({
      namespaces,
      write,
      reads,
      passThrough,
      wrap: await openWrappingKey(wrap, clients),
      unwrap: others,
      sharesKey: [wrap, ...unwrap].some((key) => key.provider === 'local' || !isNamespaceTemplate(key.key)),
    });
  }
  return {
    keyring: new Keyring(opened),
    close: () => {
      for (const client of clients.values()) client.destroy();
    },
  };
}

/** Clients are shared by Region. */
async function openWrappingKey(config: WrappingKeyConfig, clients: Map<string, KMS>): Promise<WrappingKeyOf> {
  if (config.provider === 'local') {
    const key = new LocalWrappingKey(config.keys);
    return () => key;
  }
  const region = regionOf(config.key);
  const client = clients.get(region ?? '') ?? (await awsClient(region));
  clients.set(region ?? '', client);
  return awsKms({ client, key: config.key });
}

/** What keeps a key of AWS KMS from being asked, or `undefined`. */
export async function awsProblem(key: string, env: Environment): Promise<string | undefined> {
  try {
    import.meta.resolve('@aws-sdk/client-kms');
  } catch {
    return INSTALL;
  }
  if (regionOf(key) !== undefined || (env['AWS_REGION'] ?? '') !== '') return undefined;
  const client = await awsClient(undefined);
  const known = await client.config.region().then(
    () => true,
    () => false,
  );
  client.destroy();
  return known ? undefined : 'the AWS Region is not known: set AWS_REGION, or name the key by its ARN';
}

/** Credentials, Region and endpoint as every AWS SDK reads them. Retries are ours (`key-calls.ts`). */
async function awsClient(region: string | undefined): Promise<KMS> {
  const { KMS } = await import('@aws-sdk/client-kms').catch((cause: unknown) => {
    throw new Error(INSTALL, { cause });
  });
  return new KMS({
    maxAttempts: 1,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS, throwOnRequestTimeout: true },
    ...(region === undefined ? {} : { region }),
  });
}

/** An ARN names its Region. */
function regionOf(key: string): string | undefined {
  return key.startsWith('arn:') ? key.split(':')[3] : undefined;
}
