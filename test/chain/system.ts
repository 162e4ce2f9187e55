// The parts that every chain test needs: key service behind a gate, roles, certificates, and payloads sealed as workers do.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KMS } from '@aws-sdk/client-kms';
import type { Payload } from '@temporalio/common';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { awsKms, EncryptionCodec, type EncryptionCodecOptions } from '../../src/index.js';
import { startKmsFor } from '../examples/kms.js';
import {
  startCloudOperations,
  type CloudOperationsStandIn,
  type CloudPerson,
} from '../parts/cloud-operations.js';
import { startMoto, type Moto } from '../parts/moto.js';
import type { Stoppable } from '../parts/spawn-part.js';
import { plainPayload } from '../server/running-server.js';
import { plantSecret } from '../streams.js';
import { startKeyhole, type Answer, type Keyhole } from './keyhole-process.js';
import { startKmsGate, type KmsGate } from './kms-gate.js';

export const ORDERS = 'orders.a1b2c';
export const BILLING = 'billing.a1b2c';

export interface Ground extends Stoppable {
  readonly directory: string;
  readonly certificates: Certificates;
  /** PEM file of the authority. */
  readonly caFile: string;
  readonly kms: KmsGate;
  /** Past the gate, as the account's administrator. */
  readonly kmsOperator: KMS;
  readonly cloud: CloudOperationsStandIn;
  /** The seed's variables, but who is believed. */
  readonly env: Readonly<Record<string, string>>;
  /** A codec as a worker has it; its key-service calls do not pass the gate. */
  codec(options?: Partial<EncryptionCodecOptions>): EncryptionCodec;
  /** Starts `keyhole serve` with `configuration` as its file. */
  serve(options?: ServeOptions): Promise<Keyhole>;
}

export interface ServeOptions {
  /** Content of `keyhole.yaml`, beside what `configure` adds. */
  readonly configuration?: object;
  readonly env?: Readonly<Record<string, string>>;
  readonly preload?: URL;
}

/** @param people - of the account `a1b2c`, as the Cloud Operations API tells them. */
export async function layGround(
  people: readonly CloudPerson[],
  emulator: () => Promise<Moto> = startMoto,
): Promise<Ground> {
  const stops: Stoppable[] = [];
  const keep = <T extends Stoppable>(part: T): T => {
    stops.push(part);
    return part;
  };
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-chain-'));
  keep({ stop: () => rm(directory, { recursive: true, force: true }) });
  const certificates = await makeCertificates({ dns: ['localhost', 'login.tmprl.cloud'] });
  const files = await writeCertificates(directory, certificates);
  const namespaces = keep(await startKmsFor([ORDERS, BILLING], emulator));
  const kms = keep(await startKmsGate(namespaces.env['AWS_ENDPOINT_URL_KMS'] ?? ''));
  const apiKey = plantSecret('api key of the Cloud Operations API'.replaceAll(' ', '-'));
  const cloud = keep(await startCloudOperations({ certificates, users: people, apiKey }));
  const env = {
    ...namespaces.env,
    AWS_ENDPOINT_URL_KMS: kms.url,
    SSL_PEM: files.cert,
    SSL_KEY: files.key,
    TEMPORAL_API_KEY: apiKey,
    TEMPORAL_OPS_ADDRESS: cloud.address,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: files.ca,
    NODE_EXTRA_CA_CERTS: files.ca,
    KEYHOLE_LISTEN: '127.0.0.1:0',
  };
  return {
    directory,
    certificates,
    caFile: files.ca,
    kms,
    kmsOperator: namespaces.client,
    cloud,
    env,
    codec: (options = {}) => new EncryptionCodec({ keys: awsKms({ client: namespaces.client }), ...options }),
    serve: async ({ configuration = {}, env: more = {}, preload } = {}) => {
      const home = await mkdtemp(join(directory, 'serve-'));
      await configure(home, configuration);
      const options = { directory: home, env: { ...env, ...more }, ca: certificates.ca };
      return keep(await startKeyhole({ ...options, ...(preload === undefined ? {} : { preload }) }));
    },
    stop: async () => {
      for (const part of stops.reverse()) await part.stop();
    },
  };
}

/** JSON is YAML. No test waits for a balancer at the end. */
export async function configure(directory: string, configuration: object): Promise<void> {
  const whole = {
    metrics: { listen: '127.0.0.1:0' },
    limits: { shutdownDelaySeconds: 0 },
    ...configuration,
  };
  await writeFile(join(directory, 'keyhole.yaml'), JSON.stringify(whole));
}

async function writeCertificates(
  directory: string,
  { ca, cert, key }: Certificates,
): Promise<Record<'ca' | 'cert' | 'key', string>> {
  const files = {
    ca: join(directory, 'ca.pem'),
    cert: join(directory, 'cert.pem'),
    key: join(directory, 'key.pem'),
  };
  await writeFile(files.ca, ca);
  await writeFile(files.cert, cert);
  await writeFile(files.key, key, { mode: 0o600 });
  return files;
}

/** Seals texts as a worker of the namespace does. */
export async function sealedBy(
  codec: EncryptionCodec,
  namespace: string,
  ...texts: readonly string[]
): Promise<Payload[]> {
  return codec.encode(texts.map(plainPayload), { namespace });
}

/** The texts of an answer's payloads; what is no JSON string is `undefined`. */
export function textsOf({ data }: Answer): (string | undefined)[] {
  return data.map((bytes) => {
    try {
      const value: unknown = JSON.parse(bytes.toString());
      return typeof value === 'string' ? value : undefined;
    } catch {
      return undefined;
    }
  });
}

/** Whether a text can be read in an answer, as it is or as a payload's data. */
export function shows({ text }: Answer, secret: string): boolean {
  return text.includes(secret) || text.includes(Buffer.from(JSON.stringify(secret)).toString('base64'));
}
