// A front before an HTTP service: passes requests on and counts them, or answers them as a failing service would.
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Stoppable } from './spawn-part.js';

export interface ScriptedAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a request meets: the service, no answer at all, a cut connection, or an answer of ours. */
export type Conduct = 'pass' | 'silent' | 'cut' | ScriptedAnswer;

export interface HttpFront extends Stoppable {
  readonly url: string;
  /** Requests so far, whatever they met. */
  readonly requests: () => number;
  conduct: Conduct;
}

/** @param target - origin of the service, plain http. */
export async function startHttpFront(target: string): Promise<HttpFront> {
  let requests = 0;
  const server = createServer((incoming, outgoing) => {
    requests += 1;
    meet(front.conduct, target, incoming, outgoing);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const front: HttpFront = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    conduct: 'pass',
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return front;
}

export function meet(
  conduct: Conduct,
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  if (conduct === 'silent') return;
  if (conduct === 'cut') incoming.socket.destroy();
  else if (conduct === 'pass') pass(target, incoming, outgoing);
  else outgoing.writeHead(conduct.status, conduct.headers).end(conduct.body);
}

function pass(target: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { method, headers, url = '/' } = incoming;
  const onward = request(`${target}${url}`, { method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}
