// Google Cloud KMS as a wrapping key: the real SDK against a stand-in of ours.
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { KeyManagementServiceClient } from '@google-cloud/kms';
import { credentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crc32c } from '../../../src/keys/providers/crc32c.js';
import { gcpKms, type GcpKmsClient } from '../../../src/keys/providers/gcp-kms.js';
import type { WrappingKey } from '../../../src/keys/wrapping-key.js';
import { wrappingKeyContract, type KeyServiceUnderTest } from '../../../src/testing.js';
import { startGcpKms, type Answer, type GcpKmsStandIn } from '../../parts/gcp-kms.js';
import { payloadsComeBack } from './payloads-come-back.js';

const context = { namespace: 'orders.a1b2c', signal: new AbortController().signal };
const RING = 'projects/test/locations/global/keyRings/keyhole';

function clientOf(port: number): KeyManagementServiceClient {
  const servicePath = '127.0.0.1';
  return new KeyManagementServiceClient({
    servicePath,
    apiEndpoint: servicePath,
    port,
    sslCreds: credentials.createInsecure(),
  });
}

describe('gcp-kms against a stand-in of ours', () => {
  async function open(): Promise<KeyServiceUnderTest & { kms: GcpKmsStandIn; name: string }> {
    const kms = await startGcpKms();
    const client = clientOf(kms.port);
    const [name, otherName] = [kms.createKey('orders_a1b2c'), kms.createKey('other')];
    return {
      kms,
      name,
      key: gcpKms({ client, key: `${RING}/cryptoKeys/{namespace}` })('orders.a1b2c'),
      otherKey: gcpKms({ client, key: otherName })('orders.a1b2c'),
      wrap: (bytes, namespace) => {
        const encrypted = kms.encrypt(name, bytes, Buffer.from(namespace));
        return Promise.resolve({ keyId: encrypted.name, wrapped: encrypted.ciphertext });
      },
      requests: kms.requests,
      befall: {
        disabled: () => {
          kms.disable(name, 1);
        },
        deleted: () => {
          kms.remove(name);
        },
        denied: () => (kms.conduct = { code: status.PERMISSION_DENIED }),
        throttled: () => (kms.conduct = { code: status.RESOURCE_EXHAUSTED }),
        throttledFor7Seconds: () => (kms.conduct = { code: status.RESOURCE_EXHAUSTED, retryAfterSeconds: 7 }),
        failing: () => (kms.conduct = { code: status.INTERNAL }),
        silent: () => (kms.conduct = 'silent'),
        dead: () => kms.stop(),
        garbage: () => (kms.conduct = () => ({})),
      },
      close: async () => {
        await client.close();
        await kms.stop();
      },
    };
  }

  wrappingKeyContract({ test, open });
  payloadsComeBack(open);

  test('goes on after a rotation: the new version wraps, the old one opens', async () => {
    const { kms, name, key, close } = await open();
    const before = await key.generateDataKey(context);
    kms.rotate(name);
    const after = await key.generateDataKey(context);
    expect([before.keyId, after.keyId]).toEqual([1, 2].map((n) => `${name}/cryptoKeyVersions/${n}`));
    for (const { wrapped, keyId, plaintext } of [before, after])
      expect(await key.unwrap(wrapped, keyId, context)).toEqual({ keyId, plaintext });
    await close?.();
  });

  const flipped = (field: string) => (answer: Answer) => {
    const bytes = Buffer.from(answer[field] as Uint8Array);
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    return { ...answer, [field]: bytes };
  };
  const without = (field: string) => (answer: Answer) => ({ ...answer, [field]: null });
  test.each<[string, 'generate' | 'unwrap', (answer: Answer) => Answer]>([
    ['a ciphertext damaged on its way', 'generate', flipped('ciphertext')],
    ['a data key damaged on its way', 'unwrap', flipped('plaintext')],
    ['a ciphertext without its checksum', 'generate', without('ciphertextCrc32c')],
    ['a data key without its checksum', 'unwrap', without('plaintextCrc32c')],
    ['an unchecked data key', 'generate', (answer) => ({ ...answer, verifiedPlaintextCrc32c: false })],
    [
      'an unchecked namespace',
      'generate',
      (answer) => ({ ...answer, verifiedAdditionalAuthenticatedDataCrc32c: false }),
    ],
    [
      'another key’s version',
      'generate',
      (answer) => ({ ...answer, name: `${RING}/cryptoKeys/x/cryptoKeyVersions/1` }),
    ],
  ])('does not take %s', async (_, operation, change) => {
    const { kms, key, close } = await open();
    const { wrapped, keyId } = await key.generateDataKey(context);
    kms.conduct = change;
    const work =
      operation === 'generate' ? key.generateDataKey(context) : key.unwrap(wrapped, keyId, context);
    await expect(work).rejects.toMatchObject({ code: 'key_answer_invalid' });
    await close?.();
  });

  test('paused, so that connections open and nothing is said, ends a call in time', async () => {
    const sockets: Socket[] = [];
    const server: Server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = clientOf((server.address() as AddressInfo).port);
    const key = gcpKms({ client, key: `${RING}/cryptoKeys/orders`, timeoutMs: 300 })('orders.a1b2c');
    const startedMs = performance.now();
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_unavailable' });
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    expect(sockets).toHaveLength(1);
    for (const socket of sockets) socket.destroy();
    server.close();
    await client.close();
  });
});

describe('gcp-kms', () => {
  let missing: string | undefined;
  beforeAll(() => {
    missing = process.env['GOOGLE_APPLICATION_CREDENTIALS'];
    process.env['GOOGLE_APPLICATION_CREDENTIALS'] = '/nowhere/credentials.json';
  });
  afterAll(() => {
    if (missing === undefined) delete process.env['GOOGLE_APPLICATION_CREDENTIALS'];
    else process.env['GOOGLE_APPLICATION_CREDENTIALS'] = missing;
  });

  test('without credentials is unavailable, and leaves no rejection that ends the process', async () => {
    const client = new KeyManagementServiceClient();
    const key = gcpKms({ client, key: `${RING}/cryptoKeys/orders` })('orders.a1b2c');
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on('unhandledRejection', note);
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_unavailable' });
    await new Promise(setImmediate);
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test('gives each call options of its own, without retries', async () => {
    const given: object[] = [];
    const client: GcpKmsClient = {
      initialize: () => Promise.resolve(),
      encrypt: (_, options) => {
        given.push(options);
        return Promise.reject(new Error('enough'));
      },
      decrypt: () => Promise.reject(new Error('unused')),
    };
    const key: WrappingKey = gcpKms({ client, key: `${RING}/cryptoKeys/orders` })('orders.a1b2c');
    for (let call = 0; call < 2; call++) await expect(key.generateDataKey(context)).rejects.toThrow();
    expect(given).toEqual(Array(2).fill({ timeout: 2_000, retry: { retryCodes: [] } }));
    expect(given[0]).not.toBe(given[1]);
  });

  test.each([
    'orders',
    `${RING}/cryptoKeys/orders/cryptoKeyVersions/1`,
    `${RING}/cryptoKeys/`,
    `${RING}/cryptoKeys/a b`,
    'projects/p/locations/l/cryptoKeys/k',
  ])('takes no key named %s', (key) => {
    const call = (): Promise<never> => Promise.reject(new Error('unused'));
    const client: GcpKmsClient = { initialize: call, encrypt: call, decrypt: call };
    expect(() => gcpKms({ client, key })).toThrow(/^a Google Cloud KMS key is named/);
  });

  test.each([
    ['nothing', '', 0],
    ['the nine digits', '123456789', 0xe3069283],
    ['32 zeros (RFC 3720 §B.4)', Buffer.alloc(32), 0x8a9136aa],
    ['32 ones (RFC 3720 §B.4)', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ])('has the CRC-32C of %s', (_, bytes, sum) => {
    expect(crc32c(Buffer.from(bytes))).toBe(sum);
  });
});
