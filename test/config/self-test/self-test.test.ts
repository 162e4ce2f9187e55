// The self-test passes on what is built here, and fails on each thing that must never be.
import { createServer, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { selfTest } from '../../../src/config/self-test/self-test.js';
import { startLoneServer, type LoneServer } from '../../../src/config/self-test/lone-server.js';

let log: string;
const logger = pino({}, { write: (line: string) => (log += line) });
const closing: (() => Promise<void>)[] = [];
beforeEach(() => {
  log = '';
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** What a server would do that is broken, asked by `ask` what a right one does. */
type Fault = (asked: Asked, right: (asked: Asked) => Promise<Response>) => Promise<Response>;
interface Asked {
  readonly body: string;
  readonly authorization: string;
}

/** A right one behind one that is broken. */
async function broken(fault: Fault): Promise<LoneServer> {
  const real = await startLoneServer();
  const right = ({ body, authorization }: Asked): Promise<Response> =>
    fetch(`${real.url}/decode`, { method: 'POST', headers: { ...real.headers, authorization }, body });
  const read = async (request: IncomingMessage): Promise<Asked> => ({
    body: (await buffer(request)).toString(),
    authorization: request.headers.authorization ?? '',
  });
  const server = createServer((request, response) => {
    void read(request)
      .then((asked) => fault(asked, right))
      .then(async (answer) => response.writeHead(answer.status).end(await answer.text()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  });
  return { ...real, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Opens for everybody what opened once. */
function openingAgain(when: (answer: Response) => boolean): Fault {
  let opened: string | undefined;
  return async (asked, right) => {
    const answer = await right(asked);
    if (opened !== undefined && when(answer)) return new Response(opened);
    if (answer.status === 200) opened ??= await answer.clone().text();
    return answer;
  };
}

test('passes, and nothing is left of it', async () => {
  let url = '';
  const start = async (): Promise<LoneServer> => {
    const server = await startLoneServer();
    ({ url } = server);
    return server;
  };
  await selfTest({ logger, start });
  expect(log).toBe('');
  await expect(fetch(url)).rejects.toThrow();
});

test.each<[string, Fault, string]>([
  ['opens nothing', ({ body }) => Promise.resolve(new Response(body)), 'what was sealed did not open'],
  [
    'opens something else',
    () => Promise.resolve(new Response('{"payloads":[{"data":"MQ=="}]}')),
    'what was sealed did not open',
  ],
  [
    'opens what was changed',
    openingAgain(({ status }) => status === 422),
    'what was changed was not refused',
  ],
  [
    'opens for people without a role',
    openingAgain(({ status }) => status === 403),
    'somebody without a role was not refused',
  ],
  ['opens for strangers', openingAgain(({ status }) => status === 401), 'a stranger was not refused'],
  [
    'says no, and opens all the same',
    async (asked, right) => {
      const answer = await right(asked);
      return answer.status === 401 ? new Response('{"payloads":[{"data":"MQ=="}]}', { status: 401 }) : answer;
    },
    'a stranger was not refused',
  ],
])('fails on a server that %s', async (_what, fault, sentence) => {
  await expect(selfTest({ logger, start: () => broken(fault) })).rejects.toThrow(sentence);
});

test.each<[string, () => Promise<LoneServer>]>([
  ['cannot be started', () => Promise.reject(new Error('EPERM'))],
  ['never starts', () => new Promise(() => undefined)],
  ['is too busy', () => broken(() => Promise.resolve(new Response('{}', { status: 503 })))],
  ['does not answer', () => broken(() => new Promise(() => undefined))],
  [
    'cannot be reached',
    async () => ({ ...(await broken(() => Promise.resolve(new Response()))), url: 'http://127.0.0.1:1' }),
  ],
])('proves nothing on a server that %s: that is a warning', async (_what, start) => {
  await selfTest({ logger, start, withinMs: 500 });
  expect(log).toContain('the self-test could not be completed');
});
