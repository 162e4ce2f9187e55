// Workers and clients with the plugin, on a real Temporal server, and what that server keeps of their workflows.
import { randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { EncryptionCodec } from '../../src/codec/encryption-codec.js';
import { KeyholePlugin } from '../../src/codec/plugin.js';
import { LocalWrappingKey } from '../../src/keys/providers/local.js';
import { keepStream, plantSecret } from '../streams.js';
import * as activities from './activities.js';

export const workflowsPath = fileURLToPath(new URL('./workflows.ts', import.meta.url));

/** A text that must not be readable anywhere, with a name that tells which one was found. */
export function planted(name: string): string {
  return plantSecret(`planted-${name}-${randomBytes(12).toString('hex')}`);
}

export function localKey(id: string): LocalWrappingKey {
  return new LocalWrappingKey([{ id, secret: randomBytes(32) }]);
}

export interface Site {
  readonly client: Client;
  readonly taskQueue: string;
  readonly namespace: string;
  /** A client that seals nothing and opens nothing. */
  readonly bare: Client;
  /** Runs a worker while `work` lasts. */
  withWorker<T>(work: () => Promise<T>, options?: Partial<WorkerOptions>): Promise<T>;
  close(): Promise<void>;
}

/** Client and worker of one namespace, sharing a codec unless the worker is given another. */
export async function openSite(
  address: string,
  namespace: string,
  codec: EncryptionCodec,
  workerCodec = codec,
): Promise<Site> {
  quietly();
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address, grpcCompression: { codec: 'none' } }); // to be read on the wire
  const taskQueue = `queue-${randomUUID()}`;
  const client = new Client({ connection, namespace, plugins: [new KeyholePlugin({ codec })] });
  return {
    client,
    namespace,
    taskQueue,
    bare: new Client({ connection, namespace }),
    withWorker: async (work, options = {}) => {
      const code = options.workflowBundle === undefined ? { workflowsPath } : {};
      const plugins = [new KeyholePlugin({ codec: workerCodec })];
      const shared = { connection: native, namespace, taskQueue, activities, plugins };
      const worker = await Worker.create({ ...shared, ...code, ...options });
      return worker.runUntil(work);
    },
    close: async () => {
      await connection.close();
      await native.close();
    },
  };
}

/** The history as the server keeps it, in its own bytes; also searched for planted texts when the run ends. */
export async function rawHistory({ bare }: Site, handle: WorkflowHandle): Promise<RawHistory> {
  const { History } = temporal.api.history.v1;
  const history = await bare.workflow.getHandle(handle.workflowId).fetchHistory();
  const bytes = Buffer.from(History.encode(history).finish());
  keepStream(`history-${handle.workflowId}`, bytes);
  const json = History.toObject(History.decode(bytes), { bytes: String, longs: String, enums: String });
  return { bytes, events: history.events ?? [], payloads: payloadsIn(json) };
}

export interface RawHistory {
  readonly bytes: Buffer;
  readonly events: readonly temporal.api.history.v1.IHistoryEvent[];
  /** Every payload in it, with the path of where it stands. */
  readonly payloads: readonly FoundPayload[];
}

export interface FoundPayload {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
}

function payloadsIn(value: unknown, path = ''): FoundPayload[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('metadata' in value && 'data' in value) {
    const metadata = Object.entries(value.metadata as Record<string, string>);
    const decoded = metadata.map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]);
    return [{ path, metadata: Object.fromEntries(decoded) as Record<string, string> }];
  }
  return Object.entries(value).flatMap(([key, inner]) => payloadsIn(inner, `${path}.${key}`));
}

let isQuiet = false;

/** The SDK's own log holds the errors of activities; only its errors are shown. */
export function quietly(): void {
  if (isQuiet) return;
  isQuiet = true;
  Runtime.install({ logger: new DefaultLogger('ERROR') });
}
