// The self-test: before a server listens, one like it serves a page of a history to us.
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import type { Payload } from '@temporalio/common';
import { writePayloads } from '../../server/json/payload-json-writer.js';
import { READER, startLoneServer, type LoneServer } from './lone-server.js';

/** As a browser opens. */
const CONNECTIONS = 6;
/** Of a long page: V8 has then compiled what the first caller would else wait for. */
const REQUESTS = 150;

const PLAIN: Payload = {
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from('"opened by the self-test"'),
};

/**
 * What is sealed opens for whoever may read it; what was changed, who may not, and who is not known is refused. Neither
 * the configuration nor anything that it names takes part.
 *
 * @param start - a seam for tests.
 * @throws Error with one sentence where it is otherwise: then nothing must be served here.
 */
export async function selfTest(start = startLoneServer): Promise<void> {
  const server = await start();
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  try {
    const ask = askerOf(server, agent);
    const sealed = await server.seal(PLAIN);
    const [reader, other] = [await server.tokenOf(READER), await server.tokenOf('other@keyhole.invalid')];
    const page = Array.from({ length: REQUESTS }, () => ask(sealed, reader));
    for (const { status, data } of await Promise.all(page))
      assert(status === 200 && data === base64(PLAIN), 'what was sealed did not open');
    const refused = async (status: number, payload: Payload, token: string): Promise<boolean> => {
      const answer = await ask(payload, token);
      return answer.status === status && answer.data === undefined;
    };
    assert(await refused(422, changed(sealed), reader), 'what was changed was not refused');
    assert(await refused(403, sealed, other), 'somebody without a role was not refused');
    assert(await refused(401, sealed, 'unknown'), 'a stranger was not refused');
  } finally {
    agent.destroy();
    await server.close();
  }
}

interface Answer {
  readonly status: number | undefined;
  /** Of the first payload, if there is one; base64. */
  readonly data: string | undefined;
}

type Ask = (payload: Payload, token: string) => Promise<Answer>;

function askerOf({ url, headers: usual }: LoneServer, agent: Agent): Ask {
  return async (payload, token) => {
    const body = writePayloads([payload]);
    const headers = { ...usual, Authorization: `Bearer ${token}`, 'Content-Length': body.length };
    const asking = request(`${url}/decode`, { method: 'POST', agent, headers });
    asking.end(body);
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    const { payloads = [] } = (await json(answer)) as {
      readonly payloads?: readonly { readonly data?: string }[];
    };
    return { status: answer.statusCode, data: payloads[0]?.data };
  };
}

function base64({ data }: Payload): string {
  return Buffer.from(data ?? []).toString('base64');
}

function changed(payload: Payload): Payload {
  const data = Buffer.from(payload.data ?? []);
  data[data.length - 1] = (data.at(-1) ?? 0) ^ 1;
  return { ...payload, data };
}

function assert(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(`the self-test failed, so nothing is served: ${otherwise}`);
}
