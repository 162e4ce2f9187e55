// strength.md §2: the key service refuses, resets, stalls, is slow, cuts its answers, has no address, or stands still.
import { KMS } from '@aws-sdk/client-kms';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsKms, EncryptionCodec } from '../../src/index.js';
import { startKmsFor, type NamespaceKms } from '../examples/kms.js';
import { describeWithParts } from '../parts/available.js';
import { startMoto, type Moto } from '../parts/moto.js';
import { pauseProcess } from '../parts/pause.js';
import { plainPayload } from '../server/running-server.js';
import { plantSecret } from '../streams.js';
import { FAULTS, FaultProxy } from './fault-proxy.js';
import { NO_ADDRESS, Served, type Question } from './served.js';

/** Each has a namespace, and a network of its own to one emulator. */
const NAMES = [...FAULTS, 'none', 'paused'];

function namespaceOf(name: string): string {
  return `${name}.a1b2c`;
}

describeWithParts(['moto'], 'the key service (AWS KMS), with', () => {
  const proxies = new Map<string, FaultProxy>();
  const clients: KMS[] = [];
  let moto: Moto;
  let kms: NamespaceKms;
  let served: Served;
  beforeAll(async () => {
    moto = await startMoto();
    kms = await startKmsFor(NAMES.map(namespaceOf), () => Promise.resolve(moto));
    for (const name of NAMES) proxies.set(name, await FaultProxy.start(Number(new URL(moto.url).port)));
    served = await Served.start({
      limits: { callerBurst: 10_000 },
      options: { trustedProxies: ['127.0.0.1/32'] }, // of strangers' connections one address has 64
      entries: () =>
        NAMES.map((name) => ({
          namespaces: [namespaceOf(name)],
          wrap: awsKms({ client: clientAt(name) }),
          sharesKey: false,
        })),
    });
  });
  afterAll(async () => {
    await served.stop();
    for (const client of clients) client.destroy();
    for (const proxy of proxies.values()) await proxy.stop();
    process.kill(moto.pid, 'SIGCONT');
    await kms.stop();
  });

  function clientAt(name: string): KMS {
    const host = name === 'none' ? NO_ADDRESS : '127.0.0.1';
    const client = new KMS({
      endpoint: `http://${host}:${proxies.get(name)?.port ?? 0}`,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    });
    clients.push(client);
    return client;
  }

  /** Under a data key of its own, wrapped past the proxy. */
  async function question(name: string): Promise<Question> {
    const namespace = namespaceOf(name);
    const text = plantSecret(`what an outage must not reveal: ${name} ${Math.random()}`);
    const codec = new EncryptionCodec({ keys: awsKms({ client: kms.client }) });
    const [payload] = (await codec.encode([plainPayload(text)], { namespace })) as [Payload];
    return { namespace, payload, text };
  }

  describe.concurrent('a network that fails by', () => {
    test.each(FAULTS)('%s: 503, data keys opened before go on, back within 5 s', async (fault) => {
      const [before, during] = [await question(fault), await question(fault)];
      await served.expectPlaintext(before);
      await proxies.get(fault)?.break(fault);
      await served.expectUnavailable('kms_unavailable', during, true);
      await served.expectPlaintext(before);
      await proxies.get(fault)?.repair();
      await served.expectRecovery(during);
    });

    test('no address (DNS): 503', async () => {
      await served.expectUnavailable('kms_unavailable', await question('none'), true);
    });
  });

  test('its process paused (SIGSTOP): 503, data keys opened before go on, back within 5 s', async () => {
    const [before, during] = [await question('paused'), await question('paused')];
    await served.expectPlaintext(before);
    await pauseProcess(moto.pid);
    await served.expectUnavailable('kms_unavailable', during, true);
    await served.expectPlaintext(before);
    process.kill(moto.pid, 'SIGCONT');
    await served.expectRecovery(during);
  });

  test('every call reset: 1,000 requests for one key are three calls, and then one a second at most', async () => {
    const [proxy, asked] = [proxies.get('reset'), await question('reset')];
    await proxy?.break('reset');
    const [takenBefore, startedMs] = [proxy?.taken ?? 0, performance.now()];
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => served.ask(asked)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    const seconds = (performance.now() - startedMs) / 1_000;
    expect((proxy?.taken ?? 0) - takenBefore).toBeLessThanOrEqual(3 + seconds);
    await proxy?.repair();
    await served.expectRecovery(asked);
  });
});
