// Payloads in the format of Temporal's Python sample, sealed with KMS keys, open on either side.
import { randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPayload, writePayload } from '../../src/codec/payload-proto.js';
import { awsKms, EncryptionCodec } from '../../src/index.js';
import { describeWithParts } from '../parts/available.js';
import { plantSecret } from '../streams.js';
import { startKmsFor, type NamespaceKms } from './kms.js';
import { run } from './programs.js';

const [ORDERS, BILLING] = ['orders.a1b2c', 'billing.a1b2c'];

describeWithParts(['moto', 'seed-python'], 'the encryption-jwt format', (parts) => {
  let kms: NamespaceKms;
  let codec: EncryptionCodec;
  beforeAll(async () => {
    kms = await startKmsFor([ORDERS, BILLING]);
    codec = new EncryptionCodec({
      keys: awsKms({ client: kms.client, key: 'alias/{namespace}' }),
      write: 'encryption-jwt',
    });
  });
  afterAll(() => kms.stop());

  const secret = plantSecret(randomBytes(24).toString('hex'));
  const payloads: Payload[] = [
    { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(secret)) },
    { metadata: { encoding: Buffer.from('binary/null') }, data: new Uint8Array(0) },
    {
      metadata: { encoding: Buffer.from('binary/plain'), 'é–🔑': randomBytes(300) },
      data: randomBytes(70_000),
    },
  ];

  async function inPython(action: 'seal' | 'open', namespace: string, given: Payload[]): Promise<Payload[]> {
    const lines = given.map((payload) => `${Buffer.from(writePayload(payload)).toString('base64')}\n`);
    const program = [parts['seed-python'], 'test/examples/python/payloads.py'] as const;
    const { code, stdout, stderr } = await run(program, [action, namespace], kms.env, lines.join(''));
    if (code !== 0) throw new Error(stderr);
    return stdout
      .trim()
      .split('\n')
      .map((line) => readPayload(Buffer.from(line, 'base64')));
  }

  test('that a Python program sealed opens here, whole', async () => {
    const sealed = await inPython('seal', ORDERS, payloads);
    expect(sealed.map(({ metadata }) => Object.keys(metadata ?? {}).sort())).toEqual(
      payloads.map(() => ['data_key_encrypted', 'encoding']),
    );
    expect(contentOf(await codec.decode(sealed, { namespace: ORDERS }))).toEqual(contentOf(payloads));
  });

  test('that is sealed here opens in a Python program, whole', async () => {
    const sealed = await codec.encode(payloads, { namespace: ORDERS });
    expect(contentOf(await inPython('open', ORDERS, sealed))).toEqual(contentOf(payloads));
  });

  test('sealed under the key of one namespace does not open under another’s', async () => {
    const sealed = await inPython('seal', BILLING, payloads.slice(0, 1));
    await expect(codec.decode(sealed, { namespace: ORDERS })).rejects.toMatchObject({ name: 'KeyholeError' });
    expect(contentOf(await codec.decode(sealed, { namespace: BILLING }))).toEqual(
      contentOf(payloads.slice(0, 1)),
    );
  });
});

/** What there is to a payload; protobuf gives a map's entries no order. */
function contentOf(payloads: Payload[]): unknown[] {
  return payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, value]) => [key, base64(value)])),
    data: base64(data),
  }));
}

function base64(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64');
}
