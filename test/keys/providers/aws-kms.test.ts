// AWS KMS as a wrapping key: the contract, on both emulators over the real SDK.
import { KMS } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { awsKms, NAMESPACE_CONTEXT } from '../../../src/keys/providers/aws-kms.js';
import { wrappingKeyContract, type KeyServiceUnderTest, type Misfortune } from '../../../src/testing.js';
import { describeWithParts } from '../../parts/available.js';
import { startHttpFront } from '../../parts/http-front.js';
import { startLocalStack } from '../../parts/localstack.js';
import { startMoto, type Moto } from '../../parts/moto.js';
import { payloadsComeBack } from './payloads-come-back.js';

const context = { namespace: 'orders.a1b2c', signal: new AbortController().signal };
const EMULATORS: {
  readonly part: 'moto' | 'localstack';
  readonly start: () => Promise<Moto>;
  /** moto lets disabled and deleted keys go on working. */
  readonly without: readonly Misfortune[];
}[] = [
  { part: 'moto', start: startMoto, without: ['disabled', 'deleted'] },
  { part: 'localstack', start: startLocalStack, without: [] },
];

function clientOf(endpoint: string, region = 'eu-central-1'): KMS {
  return new KMS({
    endpoint,
    region,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000, throwOnRequestTimeout: true },
  });
}

for (const { part, start, without } of EMULATORS) {
  describeWithParts(
    [part],
    `aws-kms against ${part}, refusals that it does not know told by a front of ours`,
    () => {
      let emulator: Moto;
      let operator: KMS;
      beforeAll(async () => {
        emulator = await start();
        const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
        operator = new KMS({ endpoint: emulator.url, region: 'eu-central-1', credentials });
        await operator.listKeys({}); // an emulator's first answer takes seconds
      });
      afterAll(async () => {
        operator.destroy();
        await emulator.stop();
      });

      async function newKey(): Promise<string> {
        return (await operator.createKey({})).KeyMetadata?.Arn ?? '';
      }

      async function open(): Promise<KeyServiceUnderTest> {
        const front = await startHttpFront(emulator.url);
        const client = clientOf(front.url);
        const [arn, otherArn] = [await newKey(), await newKey()];
        const refusing = (status: number, name: string, headers = {}) => {
          front.conduct = { status, headers, body: JSON.stringify({ __type: name }) };
        };
        return {
          key: awsKms({ client, key: arn })('orders.a1b2c'),
          otherKey: awsKms({ client, key: otherArn })('orders.a1b2c'),
          wrap: async (bytes, namespace) => {
            if (bytes.length === 0) return undefined; // Encrypt takes 1 to 4096 bytes
            const EncryptionContext = { [NAMESPACE_CONTEXT]: namespace };
            const { CiphertextBlob } = await operator.encrypt({
              KeyId: arn,
              Plaintext: bytes,
              EncryptionContext,
            });
            return { keyId: arn, wrapped: CiphertextBlob ?? new Uint8Array(0) };
          },
          requests: front.requests,
          befall: {
            disabled: () => operator.disableKey({ KeyId: arn }),
            deleted: () => operator.scheduleKeyDeletion({ KeyId: arn }),
            denied: () => {
              refusing(400, 'AccessDeniedException');
            },
            throttled: () => {
              refusing(400, 'ThrottlingException');
            },
            throttledFor7Seconds: () => {
              refusing(400, 'ThrottlingException', { 'retry-after': '7' });
            },
            failing: () => {
              refusing(500, 'KMSInternalException');
            },
            silent: () => (front.conduct = 'silent'),
            dead: () => (front.conduct = 'cut'),
            garbage: () =>
              (front.conduct = { status: 200, body: '{"KeyId":7,"Plaintext":"!","CiphertextBlob":7}' }),
          },
          close: async () => {
            client.destroy();
            await front.stop();
          },
        };
      }

      wrappingKeyContract({ test, open, without });
      payloadsComeBack(open);

      if (part === 'moto') return; // its replicas open nothing of their twins'
      test('a multi-Region key’s replica opens what its twin in another Region wrapped', async () => {
        const { KeyMetadata } = await operator.createKey({ MultiRegion: true });
        const id = KeyMetadata?.KeyId ?? '';
        expect(id).toMatch(/^mrk-/);
        const { ReplicaKeyMetadata } = await operator.replicateKey({ KeyId: id, ReplicaRegion: 'us-west-2' });
        const [here, there] = [clientOf(emulator.url), clientOf(emulator.url, 'us-west-2')];
        const primary = awsKms({ client: here, key: KeyMetadata?.Arn ?? '' })('orders.a1b2c');
        const replica = awsKms({ client: there, key: ReplicaKeyMetadata?.Arn ?? '' })('orders.a1b2c');
        const { keyId, wrapped, plaintext } = await primary.generateDataKey(context);
        expect(replica.holds(keyId)).toBe('yes');
        const opened = await replica.unwrap(wrapped, keyId, context);
        expect(opened.keyId).toContain(':us-west-2:');
        expect(opened.plaintext).toEqual(plaintext);
        here.destroy();
        there.destroy();
      });
    },
  );
}
