// What a Temporal server keeps of a workflow is ciphertext, failures included.
import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EncryptionCodec } from '../../src/codec/encryption-codec.js';
import { KeyholePlugin } from '../../src/codec/plugin.js';
import { describeWithParts } from '../parts/available.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { keepStream } from '../streams.js';
import { WAYS, type Everything } from './everything.js';
import {
  localKey,
  openSite,
  planted,
  rawHistory,
  workflowsPath,
  type RawHistory,
  type Site,
} from './sealed-worker.js';
import * as workflows from './workflows.js';

const NAMESPACE = 'orders.a1b2c';

describeWithParts(['temporal'], 'what the server keeps', () => {
  const codec = new EncryptionCodec({ keys: localKey('orders-key') });
  let server: TemporalServer;
  let site: Site;
  beforeAll(async () => {
    server = await startTemporalServer({ namespaces: [NAMESPACE] });
    site = await openSite(server.address, NAMESPACE, codec);
  });
  afterAll(async () => {
    await site.close();
    await server.stop();
  });

  describe('of a workflow that uses every way a value can travel', () => {
    const values = Object.fromEntries(WAYS.map((way) => [way, planted(way)])) as Everything;
    const memo = planted('memo');
    const [signal, query, update] = [planted('signal'), planted('query'), planted('update')];
    const [summary, details] = [planted('summary'), planted('details')];
    let handle: WorkflowHandle;
    let queryOnTheWire: unknown;
    let answers: string[];
    let history: RawHistory;
    beforeAll(async () => {
      await site.withWorker(async () => {
        handle = await site.client.workflow.start(workflows.everything, {
          taskQueue: site.taskQueue,
          workflowId: `everything-${randomUUID()}`,
          args: [values],
          memo: { start: memo },
          staticSummary: summary,
          staticDetails: details,
        });
        const updated: string = await handle.executeUpdate(workflows.change, { args: [update] });
        const asked: string = await handle.query(workflows.ask, query);
        queryOnTheWire = await askBare(site, handle, codec, query);
        await handle.signal(workflows.tell, signal);
        answers = [updated, asked, (await handle.result()) as string];
      });
      history = await rawHistory(site, handle);
    });

    test('the values arrive readable where they are due', async () => {
      expect(answers).toEqual([
        `${update} ${values.updateResult}`,
        `${query} ${values.queryResult}`,
        values.result,
      ]);
      const { memo: seen } = await handle.describe();
      expect(seen).toEqual({ start: memo, later: values.laterMemo });
    });

    test('none of them is readable in the bytes of the history, its child’s included', async () => {
      const childIds = history.events.flatMap(
        (event) => event.childWorkflowExecutionStartedEventAttributes?.workflowExecution?.workflowId ?? [],
      );
      expect(childIds).toHaveLength(1);
      const child = await rawHistory(site, site.bare.workflow.getHandle(childIds[0] ?? ''));
      const texts = [...Object.values(values), memo, signal, query, update, summary, details];
      const bytes = Buffer.concat([history.bytes, child.bytes]);
      expect(texts.filter((text) => bytes.includes(text))).toEqual([]);
    });

    test('every payload of the history is sealed, but for what the SDK’s core notes of a local activity', () => {
      const open = history.payloads.filter(({ metadata }) => metadata['encoding'] !== 'binary/encrypted');
      expect(open.map(({ path }) => path)).toEqual([
        expect.stringMatching(/markerRecordedEventAttributes\.details\.data/),
      ]);
      const sealed = history.payloads.length - open.length;
      expect(sealed).toBeGreaterThanOrEqual(15);
    });

    test('a query’s answer is sealed on the wire', () => {
      expect(queryOnTheWire).toMatchObject({ encoding: 'binary/encrypted' });
    });

    test('the description that a stranger to the keys gets has sealed memos', async () => {
      const execution = { workflowId: handle.workflowId };
      const request = { namespace: NAMESPACE, execution };
      const description = await site.bare.workflowService.describeWorkflowExecution(request);
      const memos = Object.values(description.workflowExecutionInfo?.memo?.fields ?? {});
      const encodings = memos.map(({ metadata }) => Buffer.from(metadata?.['encoding'] ?? []).toString());
      expect(encodings).toEqual(['binary/encrypted', 'binary/encrypted']);
    });

    test('`temporal workflow show` tells only that the result is binary/encrypted', async () => {
      const text = await show(server, handle);
      expect(text).toMatch(/ResultEncoding\s+binary\/encrypted/);
      expect(text).not.toContain(values.result);
    });

    test('`temporal workflow show --output json` holds none of them', async () => {
      const text = await show(server, handle, '--output', 'json');
      expect(text).toContain(Buffer.from('binary/encrypted').toString('base64'));
      expect(text).not.toContain(Buffer.from(values.result).toString('base64').slice(4, -4));
    });
  });

  describe('of failures', () => {
    const cases = [
      ['of an activity', workflows.failByActivity],
      ['of the workflow itself, with a cause and details', workflows.failItself],
    ] as const;

    test.each(cases)('message, stack trace and details are sealed: %s', async (_, workflow) => {
      const [message, detail] = [planted('failure-message'), planted('failure-detail')];
      const { history, error } = await site.withWorker(() => failing(workflow, message, detail));
      expect(error).toContain(message);
      expectSealedFailures(history, [message, detail]);
    });

    test('and of a prebuilt bundle, where the plugin was there at bundling', async () => {
      const plugins = [new KeyholePlugin({ codec })];
      const workflowBundle = await bundleWorkflowCode({ workflowsPath, plugins, logger: silent });
      const [message, detail] = [planted('bundled-message'), planted('bundled-detail')];
      const work = (): Promise<{ history: RawHistory; error: string }> =>
        failing(workflows.failItself, message, detail);
      const { history, error } = await site.withWorker(work, { workflowBundle });
      expect(error).toContain(message);
      expectSealedFailures(history, [message, detail]);
    });

    test('a worker refuses a bundle that was built without the plugin, since its failures would be readable', async () => {
      const workflowBundle = await bundleWorkflowCode({ workflowsPath, logger: silent });
      const started = site.withWorker(() => Promise.resolve(), { workflowBundle });
      await expect(started).rejects.toThrow(/bundle was built without temporal-keyhole/);
    });

    test('that of a workflow task is sealed too, and the worker goes on', async () => {
      const message = planted('task-failure');
      await site.withWorker(async () => {
        const handle = await site.client.workflow.start(workflows.failEachTask, {
          taskQueue: site.taskQueue,
          workflowId: `fail-${randomUUID()}`,
          args: [message],
        });
        await expect.poll(() => taskFailures(site, handle), { timeout: 10_000 }).not.toEqual([]);
        const history = await rawHistory(site, handle);
        expectSealedFailures(history, [message]);
        await handle.terminate();
      });
    });

    async function failing(
      workflow: (message: string, detail: string) => Promise<void>,
      ...args: [string, string]
    ): Promise<{ history: RawHistory; error: string }> {
      const handle = await site.client.workflow.start(workflow, {
        taskQueue: site.taskQueue,
        workflowId: `fail-${randomUUID()}`,
        args,
      });
      const error = await handle.result().then(() => 'no error', textOf);
      return { history: await rawHistory(site, handle), error };
    }
  });
});

const silent = {
  log: () => undefined,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** All messages of an error and its causes. */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error.message} ${textOf(error.cause)}` : '';
}

function expectSealedFailures({ bytes, payloads }: RawHistory, texts: string[]): void {
  expect(texts.filter((text) => bytes.includes(text))).toEqual([]);
  expect(bytes.includes('workflows.ts')).toBe(false); // a line of a stack trace
  const attributes = payloads.filter(({ path }) => path.endsWith('encodedAttributes'));
  expect(attributes.length).toBeGreaterThanOrEqual(1);
  expect(attributes.filter(({ metadata }) => metadata['encoding'] !== 'binary/encrypted')).toEqual([]);
}

async function taskFailures(site: Site, handle: WorkflowHandle): Promise<unknown[]> {
  const { events } = await rawHistory(site, handle);
  return events.filter((event) => event.workflowTaskFailedEventAttributes != null);
}

/** Asks as our client would, but keeps the answer as it came over the wire. */
async function askBare(
  site: Site,
  handle: WorkflowHandle,
  codec: EncryptionCodec,
  text: string,
): Promise<unknown> {
  const data = Buffer.from(JSON.stringify(text));
  const input = { metadata: { encoding: Buffer.from('json/plain') }, data };
  const queryArgs = { payloads: await codec.encode([input], { namespace: site.namespace }) };
  const answer = await site.bare.workflowService.queryWorkflow({
    namespace: site.namespace,
    execution: { workflowId: handle.workflowId },
    query: { queryType: 'ask', queryArgs },
  });
  const [payload] = answer.queryResult?.payloads ?? [];
  keepStream('query-answer', payload?.data ?? '');
  return { encoding: Buffer.from(payload?.metadata?.['encoding'] ?? []).toString() };
}

async function show(server: TemporalServer, handle: WorkflowHandle, ...more: string[]): Promise<string> {
  const { stdout } = await server.cli([
    'workflow',
    'show',
    '-n',
    NAMESPACE,
    '-w',
    handle.workflowId,
    ...more,
  ]);
  keepStream('workflow-show', stdout);
  return stdout;
}
