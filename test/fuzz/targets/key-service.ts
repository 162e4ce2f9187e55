// Hostile answers of key services on the wire, AWS KMS by its SDK and Vault: a data key, or a refusal of ours.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KMS } from '@aws-sdk/client-kms';
import { awsKms, isKeyholeError, vaultTransit } from '../../../src/index.js';
import type { Random } from '../../access/random.js';
import { mutated, pick } from '../mutate.js';
import type { FuzzTarget } from '../target.js';

const NAMESPACE = 'orders.a1b2c';
const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const DATA_KEY = Buffer.alloc(32, 7);
const ANSWERS = [
  { KeyId: ARN, Plaintext: DATA_KEY.toString('base64'), CiphertextBlob: 'd3JhcHBlZA==' },
  { KeyId: `${ARN}0`, Plaintext: DATA_KEY.toString('base64') },
  { KeyId: [ARN], Plaintext: { a: 1 }, CiphertextBlob: 5 },
  { data: { ciphertext: 'vault:v1:d3JhcHBlZA==', plaintext: DATA_KEY.toString('base64') } },
  { data: { ciphertext: ['vault:v1:AAAA'], plaintext: 7 }, errors: ['x', null] },
  { __type: 'ThrottlingException', message: 'slow down' },
  { __type: '__proto__', Message: null },
].map((answer) => Buffer.from(JSON.stringify(answer)));
const STATUSES = [200, 200, 200, 204, 301, 400, 404, 429, 500, 503];

export const keyService: FuzzTarget = {
  name: 'key-service',
  full: 50_000,
  inCi: 300,
  open: async () => {
    let answer: { readonly status: number; readonly body: Buffer } = { status: 200, body: Buffer.alloc(0) };
    const server = createServer((incoming, response) => {
      incoming.resume();
      response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(answer.body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new KMS({
      endpoint: address,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    });
    const vault = vaultTransit({ address, key: 'payloads', token: () => 'token' });
    const keys = [
      { key: awsKms({ client })(NAMESPACE), wrapped: 'wrapped', keyId: ARN },
      { key: vault(NAMESPACE), wrapped: 'vault:v1:d3JhcHBlZA==', keyId: 'transit/keys/payloads/versions/1' },
    ];
    const context = { namespace: NAMESPACE, signal: new AbortController().signal };
    return {
      try: async (random) => {
        answer = { status: pick(random, STATUSES), body: damaged(random) };
        const { key, wrapped, keyId } = pick(random, keys);
        const asked =
          random(2) === 0 ? key.generateDataKey(context) : key.unwrap(Buffer.from(wrapped), keyId, context);
        const made = await asked.catch((error: unknown) => {
          if (isKeyholeError(error)) return undefined;
          throw error;
        });
        if (made === undefined) return;
        if (!(made.plaintext instanceof Uint8Array)) throw new Error('a data key that is no bytes was taken');
        if (key.holds(made.keyId) === 'no') throw new Error('a key id that is not of this key was taken');
      },
      close: async () => {
        client.destroy();
        server.closeAllConnections();
        await once(server.close(), 'close');
      },
    };
  },
};

function damaged(random: Random): Buffer {
  const answer = pick(random, ANSWERS);
  return random(4) === 0 ? answer : mutated(answer, random, ANSWERS);
}
