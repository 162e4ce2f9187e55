// A gate in front of a KMS emulator: counts the calls that come, and on demand lets none through.
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Stoppable } from '../parts/spawn-part.js';

export interface KmsGate extends Stoppable {
  /** For `AWS_ENDPOINT_URL_KMS`. */
  readonly url: string;
  /** Operations asked for so far, such as `Decrypt`. */
  readonly calls: string[];
  /** `hang`: takes the call and never answers; `shut`: ends the connection. */
  state: 'open' | 'hang' | 'shut';
}

export async function startKmsGate(kms: string): Promise<KmsGate> {
  const server = createServer((request, response) => {
    gate.calls.push(String(request.headers['x-amz-target']).replace('TrentService.', ''));
    if (gate.state === 'shut') request.socket.destroy();
    else if (gate.state === 'open') forward(kms, request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const gate: KmsGate = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: [],
    state: 'open',
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return gate;
}

function forward(kms: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = request;
  const onward = httpRequest(new URL(url ?? '/', kms), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}
