// Requests to a server, a few at a time, and how long each took.
import { once } from 'node:events';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { ServerProcess } from './server-process.js';

export interface Work {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly requests: number;
  /** How many are asked at once, on connections that are kept. */
  readonly lanes: number;
  /** PEM of the authority of an https server. */
  readonly ca: string;
}

export interface Figures {
  /** Of the server, for 1000 requests. */
  readonly cpuSeconds: number;
  /** Of each request. */
  readonly latenciesMs: readonly number[];
}

/** The first tenth does not count. */
export async function measure(server: ServerProcess, work: Work): Promise<Figures> {
  const agent = agentFor(server.url, work);
  await inLanes(server.url, agent, { ...work, requests: work.requests / 10 });
  const before = server.cpuSeconds();
  const latenciesMs = await inLanes(server.url, agent, work);
  const spent = server.cpuSeconds() - before;
  agent.destroy();
  return { cpuSeconds: (spent / work.requests) * 1000, latenciesMs };
}

async function inLanes(url: string, agent: HttpAgent, work: Work): Promise<number[]> {
  const latenciesMs: number[] = [];
  let left = work.requests;
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const startedMs = performance.now();
      await post(url, agent, work);
      latenciesMs.push(performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: work.lanes }, lane));
  return latenciesMs;
}

function agentFor(url: string, { ca, lanes }: Work): HttpAgent {
  const options = { keepAlive: true, maxSockets: lanes };
  return url.startsWith('https:') ? new HttpsAgent({ ...options, ca }) : new HttpAgent(options);
}

async function post(url: string, agent: HttpAgent, { headers, body }: Work): Promise<void> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  const options = { method: 'POST', agent, headers: { ...headers, 'Content-Length': body.length } };
  const outgoing = request(`${url}/decode`, options);
  outgoing.end(body);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode ?? 0}`);
}

/** The value below which `part` of them lie. */
export function percentile(values: readonly number[], part: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? NaN;
}
