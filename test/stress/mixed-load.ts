// An assembled server and its callers in one process with --expose-gc: tells what is left after each tenth of the requests.
import { Agent, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { createSecret } from '../../src/access/tokens/credentials.js';
import { startInProcess } from '../chain/in-process.js';
import { ORDERS } from '../chain/system.js';

/** What is told on stdout, as JSON. */
export interface Left {
  readonly requests: number;
  /** After each tenth of them, from the second on. */
  readonly heapBytes: readonly number[];
  /** Handles and requests of the process: before the first request, and after the last one. */
  readonly resources: readonly [before: number, after: number];
  /** How often each status was answered. */
  readonly statuses: Readonly<Record<string, number>>;
}

const LANES = 8;
const TENTHS = 10;
const requests = Number(process.argv[2]);
const collect = globalThis.gc;
if (collect === undefined || !(requests > 0)) throw new Error('node --expose-gc mixed-load REQUESTS');

const { secret, sha256 } = createSecret();
const server = await startInProcess({
  namespaces: [ORDERS],
  files: {},
  configuration: {
    listen: '127.0.0.1:0',
    cors: { origins: ['http://localhost:8233'] },
    limits: {
      callerRequestsPerSecond: 1_000_000,
      callerBurst: 1_000_000,
      callerPayloadsPerMinute: 100_000_000,
    },
    access: {
      issuers: [{ issuer: 'https://idp.invalid/', audience: 'keyhole', emailDomains: ['example.com'] }],
      roles: { source: 'static', people: {} },
      credentials: [{ name: 'program', sha256, roles: [`namespace:admin@${ORDERS}`], expires: '2099-12-31' }],
    },
  },
});

const statuses: Record<string, number> = {};
const metadata = { encoding: Buffer.from('json/plain').toString('base64') };
const plain = JSON.stringify({ payloads: [{ metadata, data: Buffer.from('"mixed"').toString('base64') }] });
const before = process.getActiveResourcesInfo().length;
let agent = new Agent({ keepAlive: true, maxSockets: LANES });
const sealed = await ask('POST', '/encode', plain, {});
/** Every way to be answered, and some that are as foreign as the number is. */
const kinds: readonly ((index: number) => Promise<string>)[] = [
  () => ask('POST', '/decode', sealed, {}),
  () => ask('POST', '/encode', plain, {}),
  (index) => ask('POST', '/decode', sealed, { 'x-namespace': `space${index}.a1b2c` }),
  (index) =>
    ask('POST', '/decode', sealed, { authorization: `Bearer kh_${String(index).padStart(43, 'a')}` }),
  (index) => ask('POST', '/decode', sealed, { origin: `https://of-nobody-${index}.example` }),
  (index) => ask('POST', '/decode', sealed.replace(/"data":"..../, `"data":"${base64Of(index)}`), {}),
  (index) => ask('POST', '/decode', `{"payloads":[${index}`, {}),
  (index) => ask('GET', `/nowhere-${index}`, '', {}),
  () =>
    ask('OPTIONS', '/decode', '', {
      origin: 'http://localhost:8233',
      'access-control-request-method': 'POST',
    }),
];

const heapBytes: number[] = [];
for (let tenth = 0; tenth < TENTHS; tenth += 1) {
  await Promise.all(Array.from({ length: LANES }, (_, lane) => asks(tenth, lane)));
  agent.destroy();
  agent = new Agent({ keepAlive: true, maxSockets: LANES });
  if (tenth > 0) heapBytes.push(await heapInUse());
}
const left: Left = { requests, heapBytes, resources: [before, await quiet(before)], statuses };
process.stdout.write(`${JSON.stringify(left)}\n`);
await server.stop();

async function asks(tenth: number, lane: number): Promise<void> {
  const each = requests / TENTHS;
  for (let index = lane; index < each; index += LANES)
    await kinds[index % kinds.length]?.(tenth * each + index);
}

async function ask(
  method: string,
  path: string,
  body: string,
  headers: Record<string, string>,
): Promise<string> {
  const known = {
    authorization: `Bearer ${secret}`,
    'x-namespace': ORDERS,
    'content-type': 'application/json',
  };
  const asking = request(`${server.url}${path}`, { method, agent, headers: { ...known, ...headers } });
  asking.end(method === 'POST' ? body : undefined);
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  statuses[answer.statusCode ?? 0] = (statuses[answer.statusCode ?? 0] ?? 0) + 1;
  return text;
}

function base64Of(index: number): string {
  return Buffer.from([index >> 16, index >> 8, index]).toString('base64');
}

/** Once what waits for a turn of the loop is done. */
async function heapInUse(): Promise<number> {
  for (let turn = 0; turn < 4; turn += 1) {
    collect?.();
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed;
}

/** Connections that were closed are gone after a few turns of the loop. */
async function quiet(wanted: number): Promise<number> {
  const untilMs = performance.now() + 5_000;
  while (process.getActiveResourcesInfo().length > wanted && performance.now() < untilMs)
    await new Promise(setImmediate);
  return process.getActiveResourcesInfo().length;
}
