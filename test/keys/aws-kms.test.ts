// Keys in AWS KMS: two emulators, over the real SDK and its wire protocol.
import { KMS, type KMSClientConfig } from '@aws-sdk/client-kms';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { awsKms, EncryptionCodec, Keyring, type AwsKmsClient, type KeyringEntry } from '../../src/index.js';
import { contentOf } from '../codec/payloads.js';
import { describeWithParts } from '../parts/available.js';
import type { PartName } from '../parts/catalogue.js';
import { startLocalStack } from '../parts/localstack.js';
import { startMoto, type Moto } from '../parts/moto.js';
import { pauseProcess } from '../parts/pause.js';
import { plantSecret } from '../streams.js';

const [ORDERS, BILLING] = ['orders.a1b2c', 'billing.a1b2c'];
const plain: Payload = {
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(plantSecret('"plaintext of the AWS KMS tests"')),
};

function anywhere(endpoint: string): KMSClientConfig {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return { endpoint, region: 'eu-central-1', credentials };
}

/** As a worker's operator would make it: retries and deadlines are Keyhole's. */
function clientOf(endpoint: string): KMS {
  return new KMS({
    ...anywhere(endpoint),
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000, throwOnRequestTimeout: true },
  });
}

/** Names of the calls that go over the wire from now on. */
function watchCalls(client: KMS): string[] {
  const calls: string[] = [];
  client.middlewareStack.add((next, { commandName }) => async (args) => {
    calls.push(commandName ?? '');
    return next(args);
  });
  return calls;
}

async function makeKey(operator: KMS, alias?: string): Promise<string> {
  const { KeyMetadata } = await operator.createKey({});
  const arn = KeyMetadata?.Arn ?? '';
  if (alias !== undefined) await operator.createAlias({ AliasName: alias, TargetKeyId: idOf(arn) });
  return arn;
}

/** LocalStack takes an ARN as the target of an alias and then does not find it. */
function idOf(arn: string): string {
  return arn.split(':key/')[1] ?? '';
}

function metadataOf({ metadata }: Payload, name: string): Buffer {
  return Buffer.from(metadata?.[name] ?? []);
}

async function sealOne(codec: EncryptionCodec, namespace = ORDERS): Promise<Payload> {
  const [sealed] = await codec.encode([plain], { namespace });
  return sealed ?? {};
}

/** By a codec with empty caches. */
async function openFresh(
  client: AwsKmsClient,
  payload: Payload,
  { namespace = ORDERS, ...entry }: Partial<KeyringEntry> & { namespace?: string } = {},
): Promise<object> {
  const keys = new Keyring([{ namespaces: ['*'], wrap: awsKms({ client }), sharesKey: false, ...entry }]);
  const [opened] = await new EncryptionCodec({ keys }).decode([payload], { namespace });
  return contentOf(opened);
}

interface Emulator {
  readonly title: string;
  readonly part: PartName;
  readonly start: () => Promise<Moto>;
  /** What it says of a wrapped data key of another key: AWS says `IncorrectKeyException`. */
  readonly otherKey: string;
  /** Whether a disabled or deleted key stops working. */
  readonly endsKeys: boolean;
}

const EMULATORS: readonly Emulator[] = [
  { title: 'moto', part: 'moto', start: startMoto, otherKey: 'key_denied', endsKeys: false },
  { title: 'LocalStack', part: 'localstack', start: startLocalStack, otherKey: 'key_wrong', endsKeys: true },
];

for (const { title, part, start, otherKey, endsKeys } of EMULATORS) {
  describeWithParts([part], `keys in AWS KMS (${title})`, () => {
    let emulator: Moto;
    let client: KMS;
    /** Patient: an emulator's first answer takes seconds. */
    let operator: KMS;
    let ordersArn: string;
    let codec: EncryptionCodec;
    beforeAll(async () => {
      emulator = await start();
      client = clientOf(emulator.url);
      operator = new KMS(anywhere(emulator.url));
      ordersArn = await makeKey(operator, 'alias/orders_a1b2c');
      await makeKey(operator, 'alias/billing_a1b2c');
    });
    afterAll(async () => {
      client.destroy();
      operator.destroy();
      await emulator.stop();
    });
    beforeEach(() => {
      codec = new EncryptionCodec({ keys: awsKms({ client }) });
    });

    test('are found by the alias of the namespace, and recorded by their ARN', async () => {
      const sealed = await sealOne(codec);
      expect(metadataOf(sealed, 'encryption-key-id').toString()).toBe(ordersArn);
      expect(await openFresh(client, sealed)).toEqual(contentOf(plain));
    });

    test('are one for each namespace', async () => {
      const [orders, billing] = [await sealOne(codec), await sealOne(codec, BILLING)];
      const ids = [orders, billing].map((sealed) => metadataOf(sealed, 'encryption-key-id').toString());
      expect(new Set(ids).size).toBe(2);
      expect(await openFresh(client, billing, { namespace: BILLING })).toEqual(contentOf(plain));
      await expect(openFresh(client, billing)).rejects.toMatchObject({ code: 'namespace_refused' });
    });

    test('wrap with the namespace in the encryption context, and only with it the service unwraps', async () => {
      const CiphertextBlob = metadataOf(await sealOne(codec), 'encryption-data-key');
      const context = { EncryptionContext: { 'temporal-namespace': ORDERS } };
      expect((await client.decrypt({ CiphertextBlob, ...context })).KeyId).toBe(ordersArn);
      await expect(client.decrypt({ CiphertextBlob })).rejects.toThrow();
    });

    test('do not unwrap a data key under the label of another namespace, even one with the same key', async () => {
      const arn = await makeKey(operator);
      const shared = { wrap: awsKms({ client, key: arn }), sharesKey: true };
      const keys = new Keyring([{ namespaces: ['*'], ...shared }]);
      const sealed = await sealOne(new EncryptionCodec({ keys }));
      const metadata = { ...sealed.metadata, 'encryption-namespace': Buffer.from(BILLING) };
      await expect(
        openFresh(client, { ...sealed, metadata }, { namespace: BILLING, ...shared }),
      ).rejects.toMatchObject({ code: 'key_wrong_context' });
    });

    test('whose wrapped bytes were changed do not unwrap', async () => {
      const sealed = await sealOne(codec);
      const wrapped = metadataOf(sealed, 'encryption-data-key');
      wrapped[wrapped.length - 1] = (wrapped.at(-1) ?? 0) ^ 1;
      const metadata = { ...sealed.metadata, 'encryption-data-key': wrapped };
      await expect(openFresh(client, { ...sealed, metadata })).rejects.toMatchObject({
        code: 'key_wrong_context',
      });
    });

    test('of another ARN than the payload’s are not asked; an alias is, and the service refuses', async () => {
      const sealed = await sealOne(codec);
      const other = await makeKey(operator, 'alias/other');
      const calls = watchCalls(client);
      const asArn = openFresh(client, sealed, { wrap: awsKms({ client, key: other }) });
      await expect(asArn).rejects.toMatchObject({ code: 'key_not_configured' });
      expect(calls).toEqual([]);
      const asAlias = openFresh(client, sealed, { wrap: awsKms({ client, key: 'alias/other' }) });
      await expect(asAlias).rejects.toMatchObject({ code: otherKey });
    });

    test('behind a re-pointed alias open what was sealed before only where the old one is in unwrap', async () => {
      const alias = 'alias/moving';
      const wrap = awsKms({ client, key: alias });
      const oldArn = await makeKey(operator, alias);
      const before = await sealOne(new EncryptionCodec({ keys: wrap }));
      const newArn = await makeKey(operator);
      await operator.updateAlias({ AliasName: alias, TargetKeyId: idOf(newArn) });
      const after = await sealOne(new EncryptionCodec({ keys: wrap }));
      expect(metadataOf(after, 'encryption-key-id').toString()).toBe(newArn);
      await expect(openFresh(client, before, { wrap })).rejects.toMatchObject({ code: otherKey });
      const unwrap = [awsKms({ client, key: oldArn })];
      expect(await openFresh(client, before, { wrap, unwrap })).toEqual(contentOf(plain));
      expect(await openFresh(client, after, { wrap, unwrap })).toEqual(contentOf(plain));
    });

    test('behind no alias are told as gone', async () => {
      await expect(sealOne(codec, 'nowhere.a1b2c')).rejects.toMatchObject({ code: 'key_gone' });
    });

    test('wrap without a context for encryption-jwt, as Temporal’s Python sample does', async () => {
      const jwt = new EncryptionCodec({ keys: awsKms({ client }), write: 'encryption-jwt' });
      const sealed = await sealOne(jwt);
      expect(Object.keys(sealed.metadata ?? {})).toEqual(['encoding', 'data_key_encrypted']);
      const blob = Buffer.from(metadataOf(sealed, 'data_key_encrypted').toString(), 'base64');
      expect((await client.decrypt({ CiphertextBlob: blob })).Plaintext).toHaveLength(32);
      expect(await openFresh(client, sealed, { reads: ['encryption-jwt'] })).toEqual(contentOf(plain));
    });

    test('are asked once to seal and once to open 1000 payloads, also by 150 at once', async () => {
      const calls = watchCalls(client);
      const one = { namespace: ORDERS };
      const sealed = await Promise.all(Array.from({ length: 150 }, () => codec.encode([plain], one)));
      const more = await codec.encode(
        Array.from({ length: 850 }, () => plain),
        one,
      );
      expect(calls).toEqual(['GenerateDataKeyCommand']);
      const opener = new EncryptionCodec({ keys: awsKms({ client }) });
      await Promise.all(sealed.map((payloads) => opener.decode(payloads, one)));
      const opened = await opener.decode(more, one);
      expect(opened.map(contentOf)).toEqual(more.map(() => contentOf(plain)));
      expect(calls).toEqual(['GenerateDataKeyCommand', 'DecryptCommand']);
    });

    test('that do not answer, or are not there, fail in time, and the live data key goes on', async () => {
      const own = await start();
      const [ownClient, ownOperator] = [clientOf(own.url), new KMS(anywhere(own.url))];
      await makeKey(ownOperator, 'alias/orders_a1b2c');
      const live = new EncryptionCodec({ keys: awsKms({ client: ownClient }) });
      const sealed = await sealOne(live);
      await pauseProcess(own.pid);
      try {
        const startedMs = performance.now();
        const opening = openFresh(ownClient, sealed);
        const sealing = sealOne(new EncryptionCodec({ keys: awsKms({ client: ownClient }) }));
        await expect(opening).rejects.toMatchObject({ code: 'key_unavailable' });
        await expect(sealing).rejects.toMatchObject({ code: 'key_unavailable' });
        expect(performance.now() - startedMs).toBeLessThan(4_900);
        expect(metadataOf(await sealOne(live), 'encoding').toString()).toBe('binary/encrypted');
      } finally {
        process.kill(own.pid, 'SIGCONT');
      }
      expect(await openFresh(ownClient, sealed)).toEqual(contentOf(plain));
      await own.stop();
      const startedMs = performance.now();
      await expect(openFresh(ownClient, sealed)).rejects.toMatchObject({ code: 'key_unavailable' });
      expect(performance.now() - startedMs).toBeLessThan(2_500);
      ownClient.destroy();
      ownOperator.destroy();
    });

    if (!endsKeys) return;
    test.each([
      ['was disabled', (arn: string) => operator.disableKey({ KeyId: arn })],
      ['is pending deletion', (arn: string) => operator.scheduleKeyDeletion({ KeyId: arn })],
    ])('that %s neither seal nor open, and no other is tried in its place', async (_, end) => {
      const arn = await makeKey(operator);
      const wrap = awsKms({ client, key: arn });
      const sealed = await sealOne(new EncryptionCodec({ keys: wrap }));
      await end(arn);
      const calls = watchCalls(client);
      const unwrap = [awsKms({ client })];
      await expect(openFresh(client, sealed, { wrap, unwrap })).rejects.toMatchObject({ code: 'key_gone' });
      await expect(sealOne(new EncryptionCodec({ keys: wrap }))).rejects.toMatchObject({ code: 'key_gone' });
      expect(calls).toEqual(['DecryptCommand', 'GenerateDataKeyCommand']);
    });
  });
}
