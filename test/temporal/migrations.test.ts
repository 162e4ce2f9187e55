// The migrations of docs/formats.md: a workflow that starts under another program's codec ends under Keyhole.
import { randomBytes, randomUUID } from 'node:crypto';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPayload, writePayload } from '../../src/codec/payload-proto.js';
import { awsKms, EncryptionCodec, type ForeignRead, type WrappingKeyOf } from '../../src/index.js';
import { codecOf, proxySealed, sampleSealed } from '../codec/foreign-payloads.js';
import { startKmsFor, type NamespaceKms } from '../examples/kms.js';
import { run } from '../examples/programs.js';
import { describeWithParts } from '../parts/available.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { plantSecret } from '../streams.js';
import * as activities from './activities.js';
import { openSite, planted, quietly, rawHistory, workflowsPath, type Site } from './sealed-worker.js';
import * as workflows from './workflows.js';

const ORDERS = 'orders.a1b2c';

describeWithParts(
  ['temporal', 'moto', 'seed-python'],
  'a workflow that runs through a migration',
  (parts) => {
    let server: TemporalServer;
    let kms: NamespaceKms;
    let keys: WrappingKeyOf;
    beforeAll(async () => {
      server = await startTemporalServer({ namespaces: [ORDERS] });
      kms = await startKmsFor([ORDERS]);
      keys = awsKms({ client: kms.client });
    });
    afterAll(async () => {
      await server.stop();
      await kms.stop();
    });

    /** Starts it under `codec`, lets it run to its signal; answers how to go on with it. */
    async function startedUnder(
      codec: PayloadCodec,
      text: string,
    ): Promise<{ workflowId: string; taskQueue: string }> {
      quietly();
      const { address } = server;
      const [connection, native] = [
        await Connection.connect({ address }),
        await NativeConnection.connect({ address }),
      ];
      const dataConverter = { payloadCodecs: [codec] };
      const [workflowId, taskQueue] = [`migrating-${randomUUID()}`, `queue-${randomUUID()}`];
      const client = new Client({ connection, namespace: ORDERS, dataConverter });
      const shared = {
        connection: native,
        namespace: ORDERS,
        taskQueue,
        activities,
        workflowsPath,
        dataConverter,
      };
      const worker = await Worker.create(shared);
      await worker.runUntil(async () => {
        const handle = await client.workflow.start(workflows.waitThenEcho, {
          taskQueue,
          workflowId,
          args: [text],
        });
        await activityCompleted(handle);
      });
      await Promise.all([connection.close(), native.close()]);
      return { workflowId, taskQueue };
    }

    /** Signals it and runs it to its end under Keyhole; answers its result and what the history holds. */
    async function endedUnder(
      codec: EncryptionCodec,
      { workflowId, taskQueue }: { workflowId: string; taskQueue: string },
      word: string,
    ): Promise<{ result: unknown; encodings: Set<string> }> {
      const site = await openSite(server.address, ORDERS, codec);
      const handle = site.client.workflow.getHandle(workflowId);
      const result: unknown = await site.withWorker(
        async () => {
          await handle.signal(workflows.tell, word);
          return (await handle.result()) as unknown;
        },
        { taskQueue },
      );
      const encodings = await formatsIn(site, handle);
      await site.close();
      return { result, encodings };
    }

    async function formatsIn(site: Site, handle: WorkflowHandle): Promise<Set<string>> {
      const { payloads } = await rawHistory(site, handle);
      return new Set(
        payloads.map(({ metadata }) => metadata['encryption-format'] ?? Object.keys(metadata).sort().join()),
      );
    }

    async function migrates(codec: PayloadCodec, before: string, reads: ForeignRead[]): Promise<void> {
      const [text, word] = [planted('before'), planted('after')];
      const running = await startedUnder(codec, text);
      const { result, encodings } = await endedUnder(
        new EncryptionCodec({ keys, namespace: ORDERS, reads }),
        running,
        word,
      );
      expect(result).toBe(`${text} ${word}`);
      expect(encodings).toEqual(new Set([before, 'keyhole/v1']));
    }

    test('from the static key of a sample’s codec', async () => {
      const secret = plantSecret(randomBytes(32));
      const sample = codecOf((payload) => sampleSealed(payload, secret, 'team-key'), secret);
      const keys = [{ id: 'team-key', secret }];
      await migrates(sample, 'encoding,encryption-key-id', [
        { format: 'static-key', keys, until: '9999-12-31' },
      ]);
    });

    test('from temporal-proxy', async () => {
      const { KeyMetadata } = await kms.client.createKey({});
      const arn = KeyMetadata?.Arn ?? '';
      const uri = `awskms:///${arn}?region=eu-central-1`;
      const dataKey = plantSecret(randomBytes(32));
      const { CiphertextBlob } = await kms.client.encrypt({ KeyId: arn, Plaintext: dataKey });
      const wrapped = CiphertextBlob ?? new Uint8Array(0);
      const proxy = codecOf((payload) => proxySealed(payload, { uri, dataKey, wrapped }), dataKey);
      const key = awsKms({ client: kms.client, key: arn })(ORDERS);
      await migrates(proxy, 'encoding,encryption-dek,encryption-key-id', [
        { format: 'temporal-proxy', keys: { [uri]: key } },
      ]);
    });

    test('from the Python sample: both write its format, then only Keyhole writes, its own', async () => {
      const [text, word] = [planted('before'), planted('after')];
      const [input] = await sealedInPython([
        { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(text)) },
      ]);
      const [workflowId, taskQueue] = [`migrating-${randomUUID()}`, `queue-${randomUUID()}`];
      const both = await openSite(
        server.address,
        ORDERS,
        new EncryptionCodec({ keys, write: 'encryption-jwt' }),
      );
      await both.bare.workflowService.startWorkflowExecution({
        namespace: ORDERS,
        workflowId,
        requestId: randomUUID(),
        workflowType: { name: 'waitThenEcho' },
        taskQueue: { name: taskQueue },
        input: { payloads: [input ?? {}] },
      });
      const handle = both.client.workflow.getHandle(workflowId);
      await both.withWorker(() => activityCompleted(handle), { taskQueue });
      expect(await formatsIn(both, handle)).toEqual(new Set(['data_key_encrypted,encoding']));
      await both.close();

      const after = new EncryptionCodec({ keys, reads: ['encryption-jwt'] });
      const { result, encodings } = await endedUnder(after, { workflowId, taskQueue }, word);
      expect(result).toBe(`${text} ${word}`);
      expect(encodings).toEqual(new Set(['data_key_encrypted,encoding', 'keyhole/v1']));
    });

    async function sealedInPython(payloads: Payload[]): Promise<Payload[]> {
      const lines = payloads.map((payload) => `${Buffer.from(writePayload(payload)).toString('base64')}\n`);
      const program = [parts['seed-python'], 'test/examples/python/payloads.py'] as const;
      const { code, stdout, stderr } = await run(program, ['seal', ORDERS], kms.env, lines.join(''));
      if (code !== 0) throw new Error(stderr);
      return stdout
        .trim()
        .split('\n')
        .map((line) => readPayload(Buffer.from(line, 'base64')));
    }
  },
);

async function activityCompleted(handle: WorkflowHandle): Promise<void> {
  const completed = async (): Promise<number> => {
    const { events } = await handle.fetchHistory();
    return (events ?? []).filter((event) => event.activityTaskCompletedEventAttributes != null).length;
  };
  await expect.poll(completed, { timeout: 10_000 }).toBe(1);
}
