// Our stand-in for a key service some way off: AWS KMS's GenerateDataKey and Decrypt, each answer so many ms late.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { AwsKmsClient } from '../src/index.js';

const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000';

/** What is asked of Decrypt (https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html); bytes are base64. */
interface Question {
  readonly CiphertextBlob: string;
}

export interface DistantKms {
  readonly url: string;
  /** For a worker in this process: at once, not counted. */
  readonly client: AwsKmsClient;
  /** Calls so far, and the most that were on their way at once. */
  readonly seen: { calls: number; inFlight: number };
  stop(): Promise<void>;
}

export async function startDistantKms(delayMs: number): Promise<DistantKms> {
  const plaintexts = new Map<string, Uint8Array>();
  const client: AwsKmsClient = {
    generateDataKey: () => {
      const [blob, plaintext] = [randomBytes(100), randomBytes(32)];
      plaintexts.set(blob.toString('base64'), Uint8Array.from(plaintext)); // whoever gets it zeroes it
      return Promise.resolve({ KeyId: KEY, CiphertextBlob: blob, Plaintext: plaintext });
    },
    decrypt: ({ CiphertextBlob }) => {
      const plaintext = plaintexts.get(Buffer.from(CiphertextBlob).toString('base64'));
      return Promise.resolve({ KeyId: KEY, Plaintext: plaintext && Uint8Array.from(plaintext) });
    },
  };
  const seen = { calls: 0, inFlight: 0 };
  let inFlight = 0;
  /** `undefined` for a data key that was not made here, with which a server that starts tries whether it may decrypt. */
  const decrypted = async ({ CiphertextBlob }: Question): Promise<string | undefined> => {
    seen.calls += 1;
    inFlight += 1;
    seen.inFlight = Math.max(seen.inFlight, inFlight);
    await pause(delayMs);
    inFlight -= 1;
    const plaintext = plaintexts.get(CiphertextBlob);
    if (plaintext === undefined) return undefined;
    return JSON.stringify({ KeyId: KEY, Plaintext: Buffer.from(plaintext).toString('base64') });
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      void decrypted(JSON.parse(Buffer.concat(chunks).toString()) as Question).then((body) => {
        response.writeHead(body === undefined ? 400 : 200, { 'Content-Type': 'application/x-amz-json-1.1' });
        response.end(body ?? '{"__type":"InvalidCiphertextException"}');
      });
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    client,
    seen,
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}
