// An OpenID issuer's documents over real HTTPS, which a test may break in any way.
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';
import type { Certificates } from '../../../src/dev/certificates.js';

export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export class HttpsIssuer {
  /** Paths that were asked for, in order. */
  readonly fetched: string[] = [];
  /** What each path answers; others are 404. */
  readonly answers = new Map<string, Answer>();
  readonly #server: Server;

  private constructor({ cert, key }: Certificates) {
    this.#server = createServer({ cert, key }, (request, response) => {
      const path = request.url ?? '';
      this.fetched.push(path);
      const answer = this.answers.get(path);
      if (answer === undefined) response.writeHead(404).end('{}');
      else answer(response, request);
    });
  }

  static async start(certificates: Certificates): Promise<HttpsIssuer> {
    const issuer = new HttpsIssuer(certificates);
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get url(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  get jwks(): string {
    return `${this.url}/jwks`;
  }

  /** From now on the key set is this. */
  publish(...keys: readonly (JWK | Record<string, unknown>)[]): void {
    this.answers.set('/jwks', json({ keys }));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export function json(document: unknown): Answer {
  return text(JSON.stringify(document));
}

export function text(body: string | Uint8Array): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  };
}
