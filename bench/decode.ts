// `/decode` with token, role check and record, against a bare echo of the same bytes: CPU-seconds for 1000 requests.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EncryptionCodec, LocalWrappingKey } from '../src/index.js';
import { startIssuer } from './issuer.js';
import { printTable } from './table.js';

const NAMESPACE = 'bench.a1b2c';
const ROUNDS = 5;
const SHAPES = [
  { name: 'i    1 x 200 B', payloads: 1, bytes: 200, requests: 2_000 },
  { name: 'ii   20 x 1 KB', payloads: 20, bytes: 1_024, requests: 1_000 },
  { name: 'iii  1 x 1 MB', payloads: 1, bytes: 1_048_576, requests: 100 },
  { name: 'iv   1000 x 200 B', payloads: 1_000, bytes: 200, requests: 100 },
];

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
}

/** Starts a child that prints `{"url": …}` as its first line. */
async function start(args: readonly string[]): Promise<Server> {
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { url: string };
    return { child, url };
  }
  throw new Error(`${args[0] ?? ''} ended before it listened`);
}

async function stop({ child }: Server): Promise<void> {
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** User and system time of a process so far, in seconds (proc(5): fields 14 and 15 of stat, in ticks of 10 ms). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function post(
  agent: Agent,
  url: string,
  headers: Record<string, string>,
  body: Buffer,
): Promise<number> {
  const outgoing = request(`${url}/decode`, {
    method: 'POST',
    agent,
    headers: { ...headers, 'Content-Length': body.length },
  });
  outgoing.end(body);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  let bytes = 0;
  for await (const chunk of answer) bytes += (chunk as Buffer).length;
  if (answer.statusCode !== 200) throw new Error(`${url} answered ${answer.statusCode ?? 0}`);
  return bytes;
}

/** CPU-seconds of the server for 1000 requests, four at a time. */
async function measure(
  server: Server,
  headers: Record<string, string>,
  body: Buffer,
  requests: number,
): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const run = async (count: number): Promise<void> => {
    let left = count;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await post(agent, server.url, headers, body);
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
  };
  await run(requests / 10);
  const pid = server.child.pid ?? 0;
  const before = cpuSeconds(pid);
  await run(requests);
  agent.destroy();
  return ((cpuSeconds(pid) - before) / requests) * 1000;
}

async function bodyOf(codec: EncryptionCodec, count: number, bytes: number): Promise<Buffer> {
  const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.alloc(bytes, 'a') };
  const sealed = await codec.encode(Array.from({ length: count }, () => plain));
  const base64 = (value: Uint8Array | null | undefined): string =>
    Buffer.from(value ?? []).toString('base64');
  const payloads = sealed.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, value]) => [key, base64(value)])),
    data: base64(data),
  }));
  return Buffer.from(JSON.stringify({ payloads }));
}

export async function benchDecode(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'keyhole-bench-'));
  const issuer = await startIssuer();
  const secret = randomBytes(32);
  writeFileSync(join(directory, 'ca.pem'), issuer.ca);
  writeFileSync(
    join(directory, 'keys.yaml'),
    `keys: [{ id: bench, secret: ${secret.toString('base64')} }]\n`,
    { mode: 0o600 },
  );
  writeFileSync(
    join(directory, 'keyhole.yaml'),
    `listen: 127.0.0.1:0
limits: { callerRequestsPerSecond: 100000, callerBurst: 100000, callerPayloadsPerMinute: 100000000 }
keys: [{ namespaces: ["${NAMESPACE}"], wrap: { provider: local, file: keys.yaml } }]
access:
  issuers: [{ issuer: "${issuer.issuer}", audience: keyhole, jwks: "${issuer.jwks}", ca: ca.pem, claims: { email: email }, emailDomains: [example.com] }]
  roles: { source: static, people: { alice@example.com: ["namespace:admin@${NAMESPACE}"] } }
  rules: [{ roles: ["namespace:admin"], may: [decode] }]
audit: { file: ./audit.ndjson }
metrics: { listen: 127.0.0.1:0 }
`,
  );
  process.env['KEYHOLE_LOG_LEVEL'] = 'warn';
  const keyhole = await start(['src/cli/main.ts', 'serve', '-c', join(directory, 'keyhole.yaml')]);
  const echo = await start(['bench/echo.ts']);
  const codec = new EncryptionCodec({
    namespace: NAMESPACE,
    keys: new LocalWrappingKey([{ id: 'bench', secret }]),
  });
  const headers = {
    'Content-Type': 'application/json',
    'X-Namespace': NAMESPACE,
    Authorization: `Bearer ${await issuer.token('alice@example.com')}`,
  };
  const rows: string[][] = [];
  for (const shape of SHAPES) {
    const body = await bodyOf(codec, shape.payloads, shape.bytes);
    const figures: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      figures[0].push(await measure(keyhole, headers, body, shape.requests));
      figures[1].push(await measure(echo, headers, body, shape.requests));
    }
    const [ours, floor] = figures.map((values) => [...values].sort((a, b) => a - b)[ROUNDS >> 1] ?? NaN) as [
      number,
      number,
    ];
    rows.push([shape.name, ours.toFixed(3), floor.toFixed(3), `${(ours / floor).toFixed(1)} x`]);
  }
  await Promise.all([stop(keyhole), stop(echo), issuer.stop()]);
  rmSync(directory, { recursive: true });
  printTable(
    '/decode, CPU-seconds for 1000 requests (median of 5 interleaved rounds)',
    ['', 'keyhole', 'bare echo', 'times'],
    rows,
  );
}
