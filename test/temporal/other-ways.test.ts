// Nothing readable passes between us and a Temporal server, by whichever way a value travels.
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import { HandlerError, OperationError, serviceHandler, type ServiceHandler } from 'nexus-rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EncryptionCodec } from '../../src/codec/encryption-codec.js';
import { FakeWrappingKey } from '../../src/testing.js';
import { describeWithParts } from '../parts/available.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { otherActivities, type Elsewhere } from './other-ways.activities.js';
import { exchange, OTHER_WAYS, type OtherWays } from './other-ways.js';
import * as workflows from './other-ways.workflows.js';
import { localKey, openSite, planted, type Site } from './sealed-worker.js';
import { recordWire, type Wire } from './wire.js';

const NAMESPACE = 'orders.a1b2c';
const workflowsPath = fileURLToPath(new URL('other-ways.workflows.ts', import.meta.url));

describeWithParts(['temporal'], 'between a Temporal server and', () => {
  let server: TemporalServer;
  beforeAll(async () => {
    server = await startTemporalServer({ namespaces: [NAMESPACE] });
  });
  afterAll(() => server.stop());

  /** A Nexus endpoint that leads to the site's own worker. */
  async function nexusEndpoint({ taskQueue }: Site): Promise<string> {
    const name = `exchange-${randomUUID()}`;
    const target = ['--target-namespace', NAMESPACE, '--target-task-queue', taskQueue];
    const { code, stderr } = await server.cli([
      ...['operator', 'nexus', 'endpoint', 'create', '--name', name],
      ...target,
    ]);
    if (code !== 0) throw new Error(stderr);
    return name;
  }

  describe('client and worker', () => {
    const values = Object.fromEntries(OTHER_WAYS.map((way) => [way, planted(way)])) as OtherWays;
    const [query, update, signal] = [planted('query'), planted('update'), planted('signal')];
    const [scheduled, scheduleMemo] = [planted('scheduled'), planted('scheduleMemo')];
    const workflowId = `other-${randomUUID()}`;
    const seen: Record<string, unknown> = {};
    let wire: Wire;
    let bytes: Buffer;

    beforeAll(async () => {
      wire = await recordWire(server.address);
      const codec = new EncryptionCodec({ keys: localKey('orders-key') });
      const site = await openSite(wire.address, NAMESPACE, codec);
      const endpoint = await nexusEndpoint(site);
      await useSchedule(site);
      const options = {
        workflowsPath,
        activities: otherActivities(completing(site)),
        nexusServices: [handlers()],
      };
      await site.withWorker(() => runAll(site, endpoint), options);
      await site.close();
      bytes = wire.bytes();
      await wire.close();
    });

    async function runAll(site: Site, endpoint: string): Promise<void> {
      const start = {
        taskQueue: site.taskQueue,
        workflowId,
        args: [values, endpoint] as [OtherWays, string],
      };
      const handle = await site.client.workflow.start(workflows.otherWays, start);
      seen['queryFailure'] = await messageOf(handle.query(workflows.ask, query));
      seen['currentDetails'] = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
      seen['updateRejection'] = await messageOf(handle.executeUpdate(workflows.decide, { args: [update] }));
      await site.client.workflow.signalWithStart(workflows.otherWays, {
        ...start,
        signal: workflows.tell,
        signalArgs: [signal],
      });
      seen['result'] = await handle.result();
    }

    function completing({ client }: Site): Elsewhere {
      return (what, taskToken) => {
        const complete = async (): Promise<void> => {
          await client.activity.heartbeat(taskToken, values.asyncHeartbeat);
          if (what === 'complete') await client.activity.complete(taskToken, values.asyncResult);
          else await client.activity.fail(taskToken, ApplicationFailure.nonRetryable(values.asyncFailure));
        };
        void complete();
      };
    }

    async function useSchedule({ client, taskQueue }: Site): Promise<void> {
      const schedule = await client.schedule.create({
        scheduleId: `schedule-${randomUUID()}`,
        memo: { schedule: scheduleMemo },
        spec: {},
        action: { type: 'startWorkflow', workflowType: 'continued', taskQueue, args: [scheduled] },
      });
      const { action, memo } = await schedule.describe();
      seen['schedule'] = { args: action.args, memo };
      await schedule.delete();
    }

    function handlers(): ServiceHandler {
      return serviceHandler(exchange, {
        swap: (_, [, answer]) => Promise.resolve(answer),
        refuse: (_, message) => Promise.reject(new OperationError('failed', message)),
        fail: (_, message) => Promise.reject(new HandlerError('BAD_REQUEST', message)),
      });
    }

    test('the values arrive readable where they are due', () => {
      expect(seen).toMatchObject({ result: values.result, schedule: { args: [scheduled] } });
      expect(seen['schedule']).toMatchObject({ memo: { schedule: scheduleMemo } });
      for (const way of ['updateRejection', 'currentDetails'] as const)
        expect(seen[way]).toContain(values[way]);
    });

    test('the failure of a query arrives sealed: the SDK’s client reads the status of the call only', () => {
      expect(seen['queryFailure']).toMatch(/^Encoded failure/);
    });

    test('the recording is readable: it holds names that stay readable', () => {
      for (const name of [workflowId, 'failOnce', 'untilCancelled', 'binary/encrypted'])
        expect(bytes.includes(name)).toBe(true);
    });

    test.each([...OTHER_WAYS])('no byte of a value that travels as %s passes readable', (way) => {
      expect(bytes.includes(values[way])).toBe(false);
    });

    test('nor one of a query, an update, a signal with start, or a schedule', () => {
      const texts = [query, update, signal, scheduled, scheduleMemo];
      expect(texts.filter((text) => bytes.includes(text))).toEqual([]);
    });
  });

  describe('a worker whose key service is lost during a Nexus operation', () => {
    test.each([
      ['and whose handler answers', (answer: string) => Promise.resolve(answer)],
      ['and whose handler fails', (answer: string) => Promise.reject(new Error(answer))],
    ])('%s, Keyhole’s sentence passes, and the operation is tried again', async (_, firstTry) => {
      const keys = new FakeWrappingKey();
      const workerCodec = new EncryptionCodec({ keys });
      const site = await openSite(server.address, NAMESPACE, new EncryptionCodec({ keys }), workerCodec);
      const endpoint = await nexusEndpoint(site);
      const answer = planted('answer');
      let attempts = 0;
      const handler = serviceHandler(exchange, {
        swap: async () => {
          attempts += 1;
          if (attempts > 1) return answer;
          keys.failure = new Error('down');
          workerCodec.rotate();
          return await firstTry(answer);
        },
        refuse: () => Promise.resolve(undefined),
        fail: () => Promise.resolve(undefined),
      });
      const handle = await site.client.workflow.start(workflows.swapOnly, {
        taskQueue: site.taskQueue,
        workflowId: `swap-${randomUUID()}`,
        args: [planted('given'), answer, endpoint],
      });
      const work = async (): Promise<string> => {
        await expect
          .poll(() => lastNexusFailure(site, handle.workflowId), { timeout: 20_000 })
          .toBe('the key service failed for fake key fake-key');
        keys.failure = undefined;
        return await handle.result();
      };
      expect(await site.withWorker(work, { workflowsPath, nexusServices: [handler] })).toBe(answer);
      expect(attempts).toBeGreaterThan(1); // once more for each try while the key service is left alone
      await site.close();
    });
  });
});

async function lastNexusFailure({ bare }: Site, workflowId: string): Promise<string | undefined> {
  const request = { namespace: NAMESPACE, execution: { workflowId } };
  const { pendingNexusOperations } = await bare.workflowService.describeWorkflowExecution(request);
  return pendingNexusOperations[0]?.lastAttemptFailure?.message ?? undefined;
}

/** All messages of the failure of what should fail. */
async function messageOf(failing: Promise<unknown>): Promise<string> {
  const textOf = (error: unknown): string =>
    error instanceof Error ? `${error.message} ${textOf(error.cause)}` : '';
  return await failing.then(() => 'no failure', textOf);
}
