// The self-test: before a server listens, one like it serves a page of a history to us.
import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Logger } from 'pino';
import type { Payload } from '@temporalio/common';
import { untilAborted } from '../../aborting.js';
import { writePayloads } from '../../server/json/payload-json-writer.js';
import { loggedError } from '../../server/telemetry/error-log.js';
import { READER, startLoneServer, type LoneServer } from './lone-server.js';

/** As a browser opens. */
const CONNECTIONS = 6;
/** Of a long page: V8 has then compiled what the first caller would else wait for. */
const REQUESTS = 150;

const PLAIN: Payload = {
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from('"opened by the self-test"'),
};

/** A machine that is so slow, or so busy, can do without. */
const WITHIN_MS = 10_000;

/** What a server says that could not do it now: proof of nothing. */
const NOT_NOW: readonly (number | undefined)[] = [408, 429, 503];

export interface SelfTestOptions {
  readonly logger: Logger;
  /** A seam for tests. */
  readonly start?: () => Promise<LoneServer>;
  /** Default is 10 s. */
  readonly withinMs?: number;
}

/**
 * What is sealed opens for whoever may read it; what was changed, who may not, and who is not known is refused. Neither
 * the configuration nor anything that it names takes part. That it could not be asked, or not in time, is a warning.
 *
 * @throws Error with one sentence where it is otherwise: then nothing must be served here.
 */
export async function selfTest(options: SelfTestOptions): Promise<void> {
  const { logger, start = startLoneServer, withinMs = WITHIN_MS } = options;
  try {
    await tried(start, AbortSignal.timeout(withinMs));
  } catch (error) {
    if (error instanceof SelfTestFailed) throw error;
    logger.warn({ error: loggedError(error) }, 'the self-test could not be completed');
  }
}

class SelfTestFailed extends Error {
  override readonly name = 'SelfTestFailed';

  constructor(what: string) {
    super(`the self-test failed, so nothing is served: ${what}`);
  }
}

async function tried(start: () => Promise<LoneServer>, signal: AbortSignal): Promise<void> {
  const starting = start();
  const server = await untilAborted(starting, signal).catch((error: unknown) => {
    starting.then((late) => late.close()).catch(() => undefined);
    throw error;
  });
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  try {
    await untilAborted(judged(server, agent), signal);
  } finally {
    agent.destroy();
    await untilAborted(server.close(), signal).catch(() => undefined);
  }
}

async function judged(server: LoneServer, agent: Agent): Promise<void> {
  const ask = askerOf(server, agent);
  const sealed = await server.seal(PLAIN);
  const [reader, other] = [await server.tokenOf(READER), await server.tokenOf('other@keyhole.invalid')];
  const page = Array.from({ length: REQUESTS }, () => ask(sealed, reader));
  for (const { status, data } of await Promise.all(page))
    if (status !== 200 || data !== base64(PLAIN)) throw new SelfTestFailed('what was sealed did not open');
  const refused = async (expected: number, payload: Payload, token: string): Promise<boolean> => {
    const { status, data } = await ask(payload, token);
    return status === expected && data === undefined;
  };
  if (!(await refused(422, changed(sealed), reader)))
    throw new SelfTestFailed('what was changed was not refused');
  if (!(await refused(403, sealed, other)))
    throw new SelfTestFailed('somebody without a role was not refused');
  if (!(await refused(401, sealed, 'unknown'))) throw new SelfTestFailed('a stranger was not refused');
}

interface Answer {
  readonly status: number | undefined;
  /** Of the first payload, if there is one; base64. */
  readonly data: string | undefined;
}

/** @throws Error where it cannot be done now. */
type Ask = (payload: Payload, token: string) => Promise<Answer>;

function askerOf({ url, headers: usual }: LoneServer, agent: Agent): Ask {
  return async (payload, token) => {
    const body = writePayloads([payload]);
    const headers = { ...usual, Authorization: `Bearer ${token}`, 'Content-Length': body.length };
    const asking = request(`${url}/decode`, { method: 'POST', agent, headers });
    asking.end(body);
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    const data = firstData(await text(answer));
    if (data === undefined && NOT_NOW.includes(answer.statusCode))
      throw new Error(`the server of the self-test answered ${answer.statusCode ?? 0}`);
    return { status: answer.statusCode, data };
  };
}

function firstData(body: string): string | undefined {
  try {
    const { payloads = [] } = JSON.parse(body) as {
      readonly payloads?: readonly { readonly data?: string }[];
    };
    return payloads[0]?.data;
  } catch {
    return undefined;
  }
}

function base64({ data }: Payload): string {
  return Buffer.from(data ?? []).toString('base64');
}

function changed(payload: Payload): Payload {
  const data = Buffer.from(payload.data ?? []);
  data[data.length - 1] = (data.at(-1) ?? 0) ^ 1;
  return { ...payload, data };
}
