// A Nexus call from one namespace into another: opened by whoever names the other one, and by nobody else.
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandleWithStartDetails } from '@temporalio/client';
import { serviceHandler } from 'nexus-rpc';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { EncryptionCodec } from '../../src/codec/encryption-codec.js';
import type { WrappingKeyOf } from '../../src/index.js';
import type { KeyholeEvent } from '../../src/observer.js';
import { describeWithParts } from '../parts/available.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { exchange } from './other-ways.js';
import * as workflows from './other-ways.workflows.js';
import { localKey, openSite, planted, rawHistory, type Site } from './sealed-worker.js';

const [ORDERS, BILLING] = ['orders.a1b2c', 'billing.a1b2c'];
const workflowsPath = fileURLToPath(new URL('other-ways.workflows.ts', import.meta.url));

const keysByNamespace = new Map([ORDERS, BILLING].map((namespace) => [namespace, localKey(namespace)]));
const keys: WrappingKeyOf = (namespace) => {
  const key = keysByNamespace.get(namespace);
  if (key === undefined) throw new Error(`no key for ${namespace}`);
  return key;
};

describeWithParts(['temporal'], 'a Nexus operation of another namespace', () => {
  let server: TemporalServer;
  const events: KeyholeEvent[] = [];
  const sites: Site[] = [];
  beforeAll(async () => {
    server = await startTemporalServer({ namespaces: [ORDERS, BILLING] });
  });
  afterAll(() => server.stop());
  beforeEach(() => {
    events.length = 0;
  });
  afterEach(async () => {
    for (const site of sites.splice(0)) await site.close();
  });

  async function open(namespace: string, alsoOpens: readonly string[]): Promise<Site> {
    const observer = (event: KeyholeEvent): void => void events.push(event);
    const site = await openSite(
      server.address,
      namespace,
      new EncryptionCodec({ keys, alsoOpens, observer }),
    );
    sites.push(site);
    return site;
  }

  async function endpointTo({ namespace, taskQueue }: Site): Promise<string> {
    const name = `exchange-${randomUUID()}`;
    const target = ['--target-namespace', namespace, '--target-task-queue', taskQueue];
    const create = ['operator', 'nexus', 'endpoint', 'create', '--name', name, ...target];
    const { code, stderr } = await server.cli(create);
    if (code !== 0) throw new Error(stderr);
    return name;
  }

  /** Runs the caller's workflow and the handler's worker while `work` lasts. */
  async function call<T>(caller: Site, handler: Site, work: (call: Call) => Promise<T>): Promise<T> {
    const [given, answer] = [planted('given'), planted('answer')];
    const heard: string[] = [];
    const service = serviceHandler(exchange, {
      swap: (_, [text, back]) => {
        heard.push(text);
        return Promise.resolve(back);
      },
      refuse: () => Promise.resolve(undefined),
      fail: () => Promise.resolve(undefined),
    });
    const handle = await caller.client.workflow.start(workflows.swapOnly, {
      taskQueue: caller.taskQueue,
      workflowId: `swap-${randomUUID()}`,
      args: [given, answer, await endpointTo(handler)],
    });
    const working = (): Promise<T> => work({ given, answer, heard, handle });
    return caller.withWorker(() => handler.withWorker(working, { workflowsPath, nexusServices: [service] }), {
      workflowsPath,
    });
  }

  test('works where each names the other, and each opening is an event with both namespaces', async () => {
    const [orders, billing] = [await open(ORDERS, [BILLING]), await open(BILLING, [ORDERS])];
    await call(orders, billing, async ({ given, answer, heard, handle }) => {
      expect(await handle.result()).toBe(answer);
      expect(heard).toEqual([given]);
      const { bytes } = await rawHistory(orders, handle);
      expect([given, answer].filter((text) => bytes.includes(text))).toEqual([]);
    });
    const foreign = events.filter(({ type }) => type === 'opened_foreign');
    expect(foreign).toContainEqual({ type: 'opened_foreign', namespace: BILLING, boundTo: ORDERS });
    expect(foreign).toContainEqual({ type: 'opened_foreign', namespace: ORDERS, boundTo: BILLING });
  });

  test('does not open where the handler does not name the caller, though it has the key', async () => {
    const [orders, billing] = [await open(ORDERS, [BILLING]), await open(BILLING, [])];
    await call(orders, billing, async ({ heard, handle }) => {
      await expect
        .poll(() => lastNexusFailure(orders, handle.workflowId), { timeout: 20_000 })
        .toBe(`the payload is bound to namespace ${ORDERS}, not ${BILLING}`);
      expect(heard).toEqual([]);
      await handle.terminate();
    });
  });
});

interface Call {
  readonly given: string;
  readonly answer: string;
  /** What reached the handler. */
  readonly heard: readonly string[];
  readonly handle: WorkflowHandleWithStartDetails<typeof workflows.swapOnly>;
}

async function lastNexusFailure({ bare, namespace }: Site, workflowId: string): Promise<string | undefined> {
  const request = { namespace, execution: { workflowId } };
  const { pendingNexusOperations } = await bare.workflowService.describeWorkflowExecution(request);
  return pendingNexusOperations[0]?.lastAttemptFailure?.message ?? undefined;
}
