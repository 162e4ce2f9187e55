// The provider of one's own that docs/key-services.md shows keeps the contract, against a small key service.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { ownWrappingKey } from '../../../examples/own-key-service/own-wrapping-key.js';
import { wrappingKeyContract, type KeyServiceUnderTest } from '../../../src/testing.js';
import { startHttpFront } from '../../parts/http-front.js';
import { payloadsComeBack } from './payloads-come-back.js';

vi.mock('temporal-keyhole', () => import('../../../src/index.js'));

interface Question {
  readonly key: string;
  readonly namespace: string | null;
  readonly data: string;
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number) {
    super();
    this.status = status;
  }
}

describe('a key service of one’s own', () => {
  async function open(): Promise<KeyServiceUnderTest> {
    const keys = new Map([
      ['orders', randomBytes(32)],
      ['other', randomBytes(32)],
    ]);
    const server = createServer((incoming, outgoing) => {
      void text(incoming).then((body) => {
        try {
          const data = operate(keys, incoming.url ?? '', JSON.parse(body) as Question);
          outgoing.end(JSON.stringify({ data: data.toString('base64') }));
        } catch (error) {
          outgoing.writeHead(error instanceof Refusal ? error.status : 422).end();
        }
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const front = await startHttpFront(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return {
      key: ownWrappingKey(front.url, 'orders'),
      otherKey: ownWrappingKey(front.url, 'other'),
      wrap: (bytes, namespace) => {
        const question = { key: 'orders', namespace, data: Buffer.from(bytes).toString('base64') };
        return Promise.resolve({ keyId: 'orders', wrapped: operate(keys, '/wrap', question) });
      },
      requests: front.requests,
      befall: {
        disabled: () => keys.delete('orders'),
        deleted: () => keys.delete('orders'),
        denied: () => (front.conduct = { status: 403, body: '' }),
        throttled: () => (front.conduct = { status: 429, body: '' }),
        throttledFor7Seconds: () =>
          (front.conduct = { status: 429, headers: { 'retry-after': '7' }, body: '' }),
        failing: () => (front.conduct = { status: 500, body: '' }),
        silent: () => (front.conduct = 'silent'),
        dead: () => (front.conduct = 'cut'),
        garbage: () => (front.conduct = { status: 200, body: '<html>' }),
      },
      close: async () => {
        await front.stop();
        server.closeAllConnections();
        server.close();
      },
    };
  }

  wrappingKeyContract({ test, open });
  payloadsComeBack(open);
});

test('the document shows that provider, word for word and in about 40 lines', () => {
  const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
  const code = read('examples/own-key-service/own-wrapping-key.ts');
  expect(read('docs/key-services.md')).toContain(`\`\`\`ts\n${code}\`\`\`\n`);
  expect(code.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(45);
});

function operate(
  keys: ReadonlyMap<string, Buffer>,
  path: string,
  { key, namespace, data }: Question,
): Buffer {
  const [secret, bytes] = [keys.get(key), Buffer.from(data, 'base64')];
  if (secret === undefined) throw new Refusal(404);
  const associated = Buffer.from(JSON.stringify(namespace));
  if (path === '/wrap') {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(associated);
    return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  }
  const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(associated).setAuthTag(bytes.subarray(-16));
  return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]);
}
