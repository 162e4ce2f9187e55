// Workers come and go, data keys and namespaces differ: what opens, and what does not.
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EncryptionCodec } from '../../src/codec/encryption-codec.js';
import { KeyholePlugin } from '../../src/codec/plugin.js';
import { describeWithParts } from '../parts/available.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { localKey, openSite, planted, rawHistory, workflowsPath, type Site } from './sealed-worker.js';
import * as workflows from './workflows.js';

const [ORDERS, BILLING] = ['orders.a1b2c', 'billing.a1b2c'];

describeWithParts(['temporal'], 'workers with keys of their own', () => {
  const ordersKey = localKey('orders-key');
  let server: TemporalServer;
  beforeAll(async () => {
    server = await startTemporalServer({ namespaces: [ORDERS, BILLING] });
  });
  afterAll(async () => {
    await server.stop();
  });

  describe('in one namespace', () => {
    const codec = new EncryptionCodec({ keys: ordersKey });
    let site: Site;
    beforeAll(async () => {
      site = await openSite(server.address, ORDERS, codec);
    });
    afterAll(() => site.close());

    test('a worker that was restarted with empty caches finishes a running workflow', async () => {
      const [text, word] = [planted('text'), planted('word')];
      const handle = await site.withWorker(() => startAndWaitForActivity(site, text));
      const restarted = await openSite(
        server.address,
        ORDERS,
        codec,
        new EncryptionCodec({ keys: ordersKey }),
      );
      const result = await restarted.withWorker(
        async () => {
          await handle.signal(workflows.tell, word);
          return (await handle.result()) as string;
        },
        { taskQueue: site.taskQueue },
      );
      expect(result).toBe(`${text} ${word}`);
      await restarted.close();
    });

    test('a workflow that was sealed under old data keys still replays', async () => {
      const [text, word] = [planted('text'), planted('word')];
      const handle = await site.withWorker(async () => {
        const started = await startAndWaitForActivity(site, text);
        codec.rotate();
        await started.signal(workflows.tell, word);
        await started.result();
        return started;
      });
      const { payloads } = await rawHistory(site, handle);
      const dataKeys = new Set(payloads.map(({ metadata }) => metadata['encryption-data-key']));
      expect(dataKeys.size).toBeGreaterThanOrEqual(2);

      const later = new EncryptionCodec({ keys: ordersKey });
      const plugins = [new KeyholePlugin({ codec: later, replayNamespace: ORDERS })];
      const history = await site.bare.workflow.getHandle(handle.workflowId).fetchHistory();
      await Worker.runReplayHistory({ workflowsPath, plugins }, history, handle.workflowId);
    });

    test('a replay in the wrong namespace opens nothing', async () => {
      const handle = await site.withWorker(async () => {
        const started = await site.client.workflow.start(workflows.echo, startOptions(site, planted('text')));
        await started.result();
        return started;
      });
      const plugins = [new KeyholePlugin({ codec: new EncryptionCodec({ keys: ordersKey }) })];
      const history = await site.bare.workflow.getHandle(handle.workflowId).fetchHistory();
      const replayed = Worker.runReplayHistory({ workflowsPath, plugins }, history, handle.workflowId);
      await expect(replayed).rejects.toThrow(/bound to namespace orders\.a1b2c/);
    });
  });

  test.each([
    ['each with its own wrapping key', localKey('billing-key')],
    ['even with the same wrapping key', ordersKey],
  ])('a payload of one namespace does not open in a worker of the other, %s', async (_, billingKey) => {
    const orders = await openSite(server.address, ORDERS, new EncryptionCodec({ keys: ordersKey }));
    const billing = await openSite(server.address, BILLING, new EncryptionCodec({ keys: billingKey }));
    const text = planted('orders-only');
    const source = await orders.client.workflow.start(workflows.echo, startOptions(orders, text));
    const { events } = await rawHistory(orders, source);
    const input = events[0]?.workflowExecutionStartedEventAttributes?.input ?? null;

    const workflowId = `carried-${randomUUID()}`;
    await billing.bare.workflowService.startWorkflowExecution({
      namespace: BILLING,
      workflowId,
      requestId: randomUUID(),
      workflowType: { name: 'echo' },
      taskQueue: { name: billing.taskQueue },
      input,
    });
    const carried = billing.bare.workflow.getHandle(workflowId);
    await billing.withWorker(async () => {
      const sentence = /payload is bound to namespace orders\.a1b2c, not billing\.a1b2c/;
      await expect.poll(() => taskFailure(billing, carried), { timeout: 10_000 }).toMatch(sentence);
    });
    const { bytes } = await rawHistory(billing, carried);
    expect(bytes.includes(text)).toBe(false);
    await Promise.all([orders.close(), billing.close()]);
  });
});

function startOptions(site: Site, text: string): { taskQueue: string; workflowId: string; args: [string] } {
  return { taskQueue: site.taskQueue, workflowId: `echo-${randomUUID()}`, args: [text] };
}

async function startAndWaitForActivity(site: Site, text: string): Promise<WorkflowHandle> {
  const handle = await site.client.workflow.start(workflows.waitThenEcho, startOptions(site, text));
  const completed = async (): Promise<number> => {
    const { events } = await rawHistory(site, handle);
    return events.filter((event) => event.activityTaskCompletedEventAttributes != null).length;
  };
  await expect.poll(completed, { timeout: 10_000 }).toBe(1);
  return handle;
}

async function taskFailure(site: Site, handle: WorkflowHandle): Promise<string> {
  const { events } = await rawHistory(site, handle);
  const failures = events.map((event) => event.workflowTaskFailedEventAttributes?.failure?.message);
  return failures.find((message) => message != null) ?? 'none yet';
}
