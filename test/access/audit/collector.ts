// A collector of records over real HTTPS, which a test may spoil.
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificates } from '../../../src/dev/certificates.js';
import { keepStream } from '../../streams.js';

interface Received {
  readonly type: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

/** Takes what is POSTed, or answers what a test wants of it. */
export class Collector {
  readonly received: Received[] = [];
  /** Requests, whatever was answered. */
  asked = 0;
  status = 200;
  /** Awaited before each answer. */
  gate: Promise<void> | undefined;
  #server: Server | undefined;

  async listen({ cert, key }: Certificates): Promise<void> {
    this.#server = createServer({ cert, key }, (request, response) => {
      this.asked += 1;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        void Promise.resolve(this.gate).then(() => {
          const { 'content-type': type = '', authorization } = request.headers;
          const body = Buffer.concat(chunks).toString();
          keepStream('collector', body);
          if (this.status < 300) this.received.push({ type, authorization, body });
          response.writeHead(this.status, { location: '/elsewhere' }).end('{}');
        });
      });
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    return `https://localhost:${(this.#server?.address() as AddressInfo).port}/record`;
  }

  /** All lines, as they came. */
  get text(): string {
    return this.received
      .flatMap(({ type, body }) => (type === 'application/x-ndjson' ? [body] : []))
      .join('');
  }

  get checkpoints(): string[] {
    return this.received.flatMap(({ type, body }) =>
      type === 'application/json' ? [(JSON.parse(body) as { checkpoint: string }).checkpoint] : [],
    );
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }
}
