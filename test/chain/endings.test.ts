// A whole server that is stopped, or killed, while callers are being answered: what they saw is whole, and on record.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { filesOfRecord } from '../../src/access/audit/tail.js';
import { verifyAudit } from '../../src/access/audit/verify.js';
import { createSecret } from '../../src/access/tokens/credentials.js';
import { newLocalKeyFile } from '../../src/keys/providers/local.js';
import { linesOf, said } from '../access/audit/events.js';
import { volume } from '../access/random.js';
import { Command } from '../cli/command.js';
import { plantSecret } from '../streams.js';
import { configure, ORDERS } from './system.js';

const IN_FLIGHT = 200;
const TIMEOUT_MS = volume(60 * 60_000);
/** No caller may have more than a quarter of the places. */
const CALLERS = ['a', 'b', 'c', 'd'].map((name) => ({ name, ...createSecret() }));
const TEXT = plantSecret('plaintext-at-the-very-end-7e20'.padEnd(20_000, '.'));
const DATA = Buffer.from(JSON.stringify(TEXT)).toString('base64');

let directory: string;
let serving: { readonly command: Command; readonly url: string };
let sealed: string;

beforeAll(async () => {
  for (const { secret } of CALLERS) plantSecret(secret);
  directory = await mkdtemp(join(tmpdir(), 'keyhole-endings-'));
  await writeFile(join(directory, 'keys.yaml'), newLocalKeyFile('one'), { mode: 0o600 });
  const roles = [`namespace:admin@${ORDERS}`];
  await configure(directory, {
    trustedProxies: ['127.0.0.1/32'],
    limits: { shutdownDelaySeconds: 0, callerRequestsPerSecond: 10_000, callerBurst: 10_000 },
    keys: [{ namespaces: [ORDERS], wrap: { provider: 'local', file: 'keys.yaml' } }],
    access: {
      issuers: [{ issuer: 'https://idp.invalid/', audience: 'keyhole', emailDomains: ['example.com'] }],
      roles: { source: 'static', people: {} },
      credentials: CALLERS.map(({ name, sha256 }) => ({ name, sha256, roles, expires: '2099-12-31' })),
    },
  });
  await start();
  const metadata = { encoding: Buffer.from('json/plain').toString('base64') };
  const asking = ask(0, '/encode');
  asking.end(JSON.stringify({ payloads: [{ metadata, data: DATA }] }));
  sealed = (await answerTo(asking)).text;
  await serving.command.kill();
});
afterEach(async () => {
  await serving.command.kill();
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function start(): Promise<void> {
  const env = { KEYHOLE_LISTEN: '127.0.0.1:0' };
  const command = new Command(['serve'], { cwd: directory, env });
  const [, url = ''] = await command.says('stdout', /"url":"([^"]+)"/);
  serving = { command, url };
}

function ask(
  index: number,
  path: string,
  headers: Record<string, string> = {},
  agent?: Agent,
): ClientRequest {
  const asking = request(`${serving.url}${path}`, {
    method: 'POST',
    agent: agent ?? false,
    headers: {
      authorization: `Bearer ${CALLERS[index % CALLERS.length]?.secret ?? ''}`,
      'content-type': 'application/json',
      'x-namespace': ORDERS,
      ...headers,
    },
  });
  asking.on('error', () => undefined); // a reset after the answer began is its reader's to see
  return asking;
}

/** A record that is not durable by then is refused (`AuditLog`); Node's timers may be a millisecond early. */
const RECORD_WITHIN_MS = 999;

interface Seen {
  /** When it began, on the clock of `performance.now`. */
  readonly atMs: number;
  readonly status: number;
  readonly requestId: string;
  readonly text: string;
}

/** The whole answer; rejects where its end does not come. */
async function answerTo(
  asking: ClientRequest,
  onByte: (requestId: string) => void = () => undefined,
): Promise<Seen> {
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  const atMs = performance.now();
  const requestId = String(answer.headers['x-request-id']);
  let text = '';
  for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) {
    if (text === '' && answer.statusCode === 200) onByte(requestId);
    text += chunk;
  }
  return { atMs, status: answer.statusCode ?? 0, requestId, text };
}

/**
 * Where the disk takes a second for a record, or this machine as long to run the server, a 503 is the answer that there
 * is: never earlier.
 *
 * @param sentMs - when the first body was sent.
 */
function isWhole({ atMs, status, text }: Seen, sentMs: number): boolean {
  if (status === 200) return text.includes(DATA) && text.endsWith(']}');
  const isNoRecord = status === 503 && /^\{"error":\{"code":"audit_unavailable".*\}\}$/.test(text);
  return isNoRecord && atMs - sentMs >= RECORD_WITHIN_MS;
}

/** Request ids on record, whichever chain they are in. */
async function recorded(): Promise<Set<string>> {
  const files = await filesOfRecord(join(directory, 'keyhole-audit.ndjson'));
  const lines = (await Promise.all(files.map(linesOf))).flat();
  return new Set(lines.filter(({ unmapped }) => unmapped.type === 'request').map(said));
}

async function expectProvenRecord(): Promise<void> {
  const files = await filesOfRecord(join(directory, 'keyhole-audit.ndjson'));
  expect((await verifyAudit(files)).mistakes).toEqual([]);
}

describe('SIGTERM', () => {
  test(
    `with ${IN_FLIGHT} requests in flight loses none and answers none by half, again and again`,
    async () => {
      for (let round = 0; round < Math.ceil(volume(50)); round += 1) {
        await start();
        const asking: ClientRequest[] = [];
        for (let index = 0; index < IN_FLIGHT; index += 1) {
          const one = ask(index, '/decode', {
            expect: '100-continue',
            'content-length': String(sealed.length),
          });
          one.flushHeaders();
          asking.push(one);
        }
        await Promise.all(asking.map((one) => once(one, 'continue'))); // each is allowed, and its body awaited
        const answers = Promise.all(asking.map((one) => answerTo(one)));
        serving.command.signal('SIGTERM');
        await serving.command.says('stderr', /"msg":"stopping"/);
        const sentMs = performance.now();
        for (const one of asking) one.end(sealed);
        const seen = await answers;
        expect(seen.filter((one) => !isWhole(one, sentMs))).toEqual([]);
        expect((await serving.command.ended()).code).toBe(0);
        const record = await recorded();
        const opened = seen.filter(({ status }) => status === 200);
        expect(opened.length).toBeGreaterThan(0);
        expect(opened.filter(({ requestId }) => !record.has(requestId))).toEqual([]);
      }
      await expectProvenRecord();
    },
    TIMEOUT_MS,
  );
});

describe('kill -9', () => {
  test(
    'under load: whoever saw one byte of plaintext is on record, again and again',
    async () => {
      const shown = new Set<string>();
      for (let round = 0; round < Math.ceil(volume(100)); round += 1) {
        await start();
        const before = shown.size;
        const agent = new Agent({ keepAlive: true });
        const { command } = serving;
        const callers = Array.from({ length: 16 }, async (_, index) => {
          for (;;) {
            const asking = ask(index, '/decode', {}, agent);
            asking.end(sealed);
            await answerTo(asking, (requestId) => {
              shown.add(requestId);
              if (shown.size - before === 50 + 7 * round) command.signal('SIGKILL');
            });
          }
        });
        await Promise.allSettled(callers);
        agent.destroy();
        expect((await command.ended()).code).toBeNull();
      }
      await start(); // whatever the last kill left
      const record = await recorded();
      expect(shown.size).toBeGreaterThanOrEqual(50 * Math.ceil(volume(100)));
      expect([...shown].filter((requestId) => !record.has(requestId))).toEqual([]);
      await expectProvenRecord();
    },
    TIMEOUT_MS,
  );
});
