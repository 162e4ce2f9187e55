// A worker whose payloads cannot be sealed sends nothing readable, and goes on when they can be.
import { randomBytes, randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EncryptionCodec } from '../../src/codec/encryption-codec.js';
import { KeyholeError } from '../../src/errors.js';
import { LocalWrappingKey } from '../../src/keys/providers/local.js';
import type { GeneratedDataKey, KeyContext } from '../../src/keys/wrapping-key.js';
import { describeWithParts } from '../parts/available.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { openSite, planted, rawHistory, type RawHistory, type Site } from './sealed-worker.js';
import * as workflows from './workflows.js';

const NAMESPACE = 'orders.a1b2c';

type Fault = () => Promise<GeneratedDataKey>;

/** Opens what it wrapped before, but makes no data key while it has a fault. */
class FaultyKey extends LocalWrappingKey {
  fault: Fault | undefined;

  override generateDataKey(context: KeyContext): Promise<GeneratedDataKey> {
    return this.fault?.() ?? super.generateDataKey(context);
  }
}

const gone: Fault = () => {
  const cause = new Error('the service’s own words');
  return Promise.reject(new KeyholeError('key_gone', 'the key is gone', { cause }));
};
const unreachable: Fault = () => Promise.reject(new Error('connect ECONNREFUSED'));
const silent: Fault = () => new Promise(() => undefined);
const short: Fault = () =>
  Promise.resolve({ keyId: 'key', plaintext: randomBytes(16), wrapped: randomBytes(60) });

describeWithParts(['temporal'], 'a worker whose key service', () => {
  const secret = randomBytes(32);
  const codec = new EncryptionCodec({ keys: new LocalWrappingKey([{ id: 'key', secret }]) });
  let server: TemporalServer;
  beforeAll(async () => {
    server = await startTemporalServer({ namespaces: [NAMESPACE] });
  });
  afterAll(async () => {
    await server.stop();
  });

  interface FaultySite extends Site {
    breakKey(fault: Fault): void;
    repairKey(): void;
  }

  /** A site whose worker's key can be broken: it then needs a fresh data key, which it does not get. */
  async function openFaulty(): Promise<FaultySite> {
    const key = new FaultyKey([{ id: 'key', secret }]);
    const workerCodec = new EncryptionCodec({ keys: key });
    const breakKey = (fault: Fault): void => {
      key.fault = fault;
      workerCodec.rotate();
    };
    const repairKey = (): void => {
      key.fault = undefined;
    };
    return { ...(await openSite(server.address, NAMESPACE, codec, workerCodec)), breakKey, repairKey };
  }

  test.each([
    ['refuses', gone, /^the key is gone$/],
    ['cannot be reached', unreachable, /^the key service failed for local key key$/],
    ['never answers', silent, /^the key service did not answer in time for local key key$/],
    [
      'answers a data key of 16 bytes',
      short,
      /^the key service answered a data key that is not 32 bytes long/,
    ],
  ])(
    '%s fails its workflow tasks without a readable byte, and completes them when it is back',
    async (_, fault, sentence) => {
      const site = await openFaulty();
      site.breakKey(fault);
      const text = planted('result');
      const handle = await site.client.workflow.start(workflows.echo, startOptions(site, text));
      const result = await site.withWorker(async () => {
        const said = expect.poll(() => messages(site, handle), { timeout: 20_000 });
        await said.toContainEqual(expect.stringMatching(sentence));
        const history = await rawHistory(site, handle);
        expect(history.bytes.includes(text)).toBe(false);
        expect(history.bytes.includes('the service’s own words')).toBe(false);
        expect(completed(history)).toBe(false);
        site.repairKey();
        return handle.result();
      });
      expect(result).toBe(text);
      await site.close();
    },
  );

  test('is lost during an activity retries it, with Keyhole’s sentence in place of the result', async () => {
    const site = await openFaulty();
    const text = planted('activity-result');
    let attempts = 0;
    const activities = {
      repeat: (_: string, result: string) => {
        attempts += 1;
        if (attempts === 1) site.breakKey(unreachable);
        else site.repairKey();
        return Promise.resolve(result);
      },
    };
    const handle = await site.client.workflow.start(workflows.waitThenEcho, startOptions(site, text));
    await handle.signal(workflows.tell, 'go');
    const result = await site.withWorker(() => handle.result(), { activities });
    expect(result).toBe(`${text} go`);
    expect(attempts).toBeGreaterThan(1);
    const history = await rawHistory(site, handle);
    expect(history.bytes.includes(text)).toBe(false);
    expect(await messages(site, handle)).toContainEqual(expect.stringMatching(/^the key service failed/));
    await site.close();
  });

  test('is lost while an activity fails retries it too, and seals its failure when it can', async () => {
    const site = await openFaulty();
    const text = planted('activity-failure');
    let attempts = 0;
    const activities = {
      failWith: () => {
        attempts += 1;
        if (attempts === 1) site.breakKey(unreachable);
        else site.repairKey();
        throw ApplicationFailure.nonRetryable(text);
      },
    };
    const options = { ...startOptions(site, text), args: [text, text] as [string, string] };
    const handle = await site.client.workflow.start(workflows.failByActivity, options);
    const failed = site.withWorker(() => handle.result(), { activities });
    await expect(failed).rejects.toMatchObject({ cause: { cause: { message: text } } });
    expect(attempts).toBeGreaterThan(1);
    const history = await rawHistory(site, handle);
    expect(history.bytes.includes(text)).toBe(false);
    await site.close();
  });
});

function startOptions(site: Site, text: string): { taskQueue: string; workflowId: string; args: [string] } {
  return { taskQueue: site.taskQueue, workflowId: `seal-${randomUUID()}`, args: [text] };
}

/** What the history says of failed workflow tasks and of activities that failed before. */
async function messages(site: Site, handle: WorkflowHandle): Promise<string[]> {
  const { events } = await rawHistory(site, handle);
  return events.flatMap((event) => {
    const task = event.workflowTaskFailedEventAttributes?.failure?.message;
    const activity = event.activityTaskStartedEventAttributes?.lastFailure?.message;
    return [task, activity].filter((message) => message != null && message !== '') as string[];
  });
}

function completed({ events }: RawHistory): boolean {
  return events.some((event) => event.workflowExecutionCompletedEventAttributes != null);
}
