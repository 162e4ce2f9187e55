// What temporal-proxy wraps with AWS KMS (`Encrypt`, with or without a context) opens by the configured key alone.
import { randomBytes } from 'node:crypto';
import { KMS } from '@aws-sdk/client-kms';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  awsKms,
  EncryptionCodec,
  parseProxyKeyUri,
  type KeyholeEvent,
  type WrappingKey,
} from '../../../src/index.js';
import { FakeWrappingKey } from '../../../src/testing.js';
import { describeWithParts } from '../../parts/available.js';
import { startMoto, type Moto } from '../../parts/moto.js';
import { plantSecret } from '../../streams.js';
import { proxySealed } from '../foreign-payloads.js';
import { contentOf } from '../payloads.js';

const NAMESPACE = 'orders.a1b2c';
const plain: Payload = {
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(plantSecret('"plaintext that temporal-proxy sealed"')),
};

describeWithParts(['moto'], 'a payload of temporal-proxy, under AWS KMS', () => {
  let moto: Moto;
  let kms: KMS;
  let arn: string;
  beforeAll(async () => {
    moto = await startMoto();
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    kms = new KMS({ endpoint: moto.url, region: 'eu-central-1', credentials, maxAttempts: 1 });
    arn = (await kms.createKey({})).KeyMetadata?.Arn ?? '';
  });
  afterAll(async () => {
    kms.destroy();
    await moto.stop();
  });

  async function sealedByProxy(uri: string): Promise<Payload> {
    const dataKey = plantSecret(randomBytes(32));
    const parsed = parseProxyKeyUri(uri);
    if (parsed.scheme !== 'awskms') throw new Error('not a key of AWS KMS');
    const { CiphertextBlob } = await kms.encrypt({
      KeyId: parsed.key,
      Plaintext: dataKey,
      EncryptionContext: { ...parsed.context },
    });
    return proxySealed(plain, { uri, dataKey, wrapped: CiphertextBlob ?? new Uint8Array(0) });
  }

  function keyOf(uri: string): WrappingKey {
    const parsed = parseProxyKeyUri(uri);
    if (parsed.scheme !== 'awskms') throw new Error('not a key of AWS KMS');
    return awsKms({ client: kms, key: parsed.key, foreignContext: parsed.context })(NAMESPACE);
  }

  function codecFor(
    keys: Record<string, WrappingKey>,
    observer?: (event: KeyholeEvent) => void,
  ): EncryptionCodec {
    return new EncryptionCodec({
      keys: new FakeWrappingKey(),
      namespace: NAMESPACE,
      reads: [{ format: 'temporal-proxy', keys }],
      ...(observer === undefined ? {} : { observer }),
    });
  }

  test.each([
    ['by its ARN', () => `awskms:///${arn}?region=eu-central-1`],
    ['with a context of two pairs', () => `awskms:///${arn}?context_tenant=orders&context_env=prod`],
  ])('opens %s, with one call for many payloads', async (_, uriOf) => {
    const uri = uriOf();
    const events: KeyholeEvent[] = [];
    const codec = codecFor({ [uri]: keyOf(uri) }, (event) => events.push(event));
    const sealed = await sealedByProxy(uri);
    const opened = await codec.decode([sealed, sealed, sealed]);
    expect(opened.map(contentOf)).toEqual([plain, plain, plain].map(contentOf));
    expect(events.filter(({ type }) => type === 'key_call')).toMatchObject([
      { operation: 'unwrap', key: arn },
    ]);
  });

  test('does not open by a context that only it names', async () => {
    const [asWrapped, asConfigured] = [
      `awskms:///${arn}?context_tenant=orders`,
      `awskms:///${arn}?context_tenant=billing`,
    ];
    const sealed = await sealedByProxy(asWrapped);
    const codec = codecFor({ [asConfigured]: keyOf(asConfigured) });
    await expect(codec.decode([sealed])).rejects.toMatchObject({ code: 'key_not_configured' });
    const renamed = {
      ...sealed,
      metadata: { ...sealed.metadata, 'encryption-key-id': Buffer.from(asConfigured) },
    };
    await expect(codec.decode([renamed])).rejects.toMatchObject({ code: 'key_wrong_context' });
  });

  test('asks no key service for a key that is not configured', async () => {
    const events: KeyholeEvent[] = [];
    const uri = `awskms:///${arn}?region=eu-central-1`;
    const sealed = await sealedByProxy(uri);
    const codec = codecFor({ 'awskms:///alias/other': keyOf('awskms:///alias/other') }, (event) =>
      events.push(event),
    );
    await expect(codec.decode([sealed])).rejects.toMatchObject({ code: 'key_not_configured' });
    expect(events.filter(({ type }) => type === 'key_call')).toEqual([]);
  });
});
