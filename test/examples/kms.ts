// A KMS with one key for each namespace, on an emulator, and the environment that leads the AWS SDKs there.
import { KMS } from '@aws-sdk/client-kms';
import { startMoto, type Moto } from '../parts/moto.js';
import type { Stoppable } from '../parts/spawn-part.js';
import type { Environment } from './programs.js';

export interface NamespaceKms extends Stoppable {
  readonly env: Environment;
  readonly client: KMS;
}

const REGION = 'eu-central-1';
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** @param start - the emulator; default is moto. */
export async function startKmsFor(
  namespaces: readonly string[],
  start: () => Promise<Moto> = startMoto,
): Promise<NamespaceKms> {
  const { url, stop } = await start();
  const client = new KMS({ endpoint: url, region: REGION, credentials: CREDENTIALS });
  for (const namespace of namespaces) {
    const { KeyMetadata } = await client.createKey({});
    const AliasName = `alias/${namespace.replaceAll('.', '_')}`;
    await client.createAlias({ AliasName, TargetKeyId: KeyMetadata?.KeyId });
  }
  const env = {
    AWS_ENDPOINT_URL_KMS: url,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    NODE_NO_WARNINGS: '1', // of the end of Node 20 in the AWS SDK
  };
  return {
    client,
    env,
    stop: async () => {
      client.destroy();
      await stop();
    },
  };
}
