// Where the Temporal server and the namespace's key are, as the environment tells it.
import { KMS } from '@aws-sdk/client-kms';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { awsKms, EncryptionCodec, type WriteFormat } from 'temporal-keyhole';
import { UsageError } from './command.js';

export const TASK_QUEUE = 'encryption-task-queue';

const { env } = process;

type ConnectionOptions = ClientConnectConfig['connectionOptions'];

/** Connects with the SDK's own `connect`; a failure says to which server. */
export async function connectBy<T>(connect: (options: ConnectionOptions) => Promise<T>): Promise<T> {
  const options = connectionOptions();
  try {
    return await connect(options);
  } catch (cause) {
    throw new Error(`no connection to Temporal at ${options.address ?? 'localhost:7233'}`, { cause });
  }
}

/**
 * Reads `temporal.toml` and the SDK's own `TEMPORAL_*` variables (`TEMPORAL_PROFILE` chooses a profile), and beside
 * them `TEMPORAL_TLS_CERT` and `TEMPORAL_TLS_KEY`: the paths of a client certificate and its key. An API key turns
 * TLS on. Default is `localhost:7233`.
 */
function connectionOptions(): ConnectionOptions {
  const { TEMPORAL_TLS_CERT: cert, TEMPORAL_TLS_KEY: key } = env;
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError('TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY belong together: set both or neither');
  const certificate = {
    ...(cert !== undefined && { TEMPORAL_TLS_CLIENT_CERT_PATH: cert }),
    ...(key !== undefined && { TEMPORAL_TLS_CLIENT_KEY_PATH: key }),
  };
  const overrideEnvVars = { ...certificate, ...env } as Record<string, string>;
  return loadClientConnectConfig({ overrideEnvVars }).connectionOptions;
}

/**
 * Seals with the AWS KMS key whose alias is the namespace, `_` for each `.`. With `KEYHOLE_WRITE=encryption-jwt` it
 * writes what workers of Temporal's Python sample read. Both formats are read, whatever is written.
 */
export function openCodec(): EncryptionCodec {
  const write = env['KEYHOLE_WRITE'] ?? 'keyhole/v1';
  if (!isWriteFormat(write))
    throw new UsageError('KEYHOLE_WRITE must be keyhole/v1 (the default) or encryption-jwt');
  const client = new KMS({
    maxAttempts: 1, // the codec tries again by itself
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000, throwOnRequestTimeout: true },
  });
  const keys = awsKms({ client, key: 'alias/{namespace}' });
  return new EncryptionCodec({ keys, write, reads: ['encryption-jwt'] });
}

function isWriteFormat(text: string): text is WriteFormat {
  return text === 'keyhole/v1' || text === 'encryption-jwt';
}
