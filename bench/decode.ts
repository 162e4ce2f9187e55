// `/decode` with token, role check and record, beside a bare echo and the official samples without any of these.
import { createCipheriv, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Payload } from '@temporalio/common';
import { writePayload } from '../src/codec/payload-proto.js';
import { writePayloads } from '../src/server/json/payload-json-writer.js';
import { EncryptionCodec, LocalWrappingKey } from './built.js';
import { startIssuer, type Issuer } from './issuer.js';
import { startKeyhole } from './keyhole.js';
import { measure, percentile, type Work } from './load.js';
import { officialSamples, SAMPLE_KEY } from './samples.js';
import { startTelling, type ServerProcess } from './server-process.js';
import { printTable } from './table.js';

const NAMESPACE = 'bench.a1b2c';
const ROUNDS = 5;
/** Rounds before them that do not count: V8 compiles what is run often. */
const FIRST_ROUNDS = 3;
const SHAPES = [
  { name: 'i    1 x 200 B', payloads: 1, bytes: 200, requests: 5_000, lanes: 4 },
  { name: 'ii   20 x 1 KB', payloads: 20, bytes: 1_024, requests: 1_000, lanes: 4 },
  { name: 'iii  1 x 1 MB', payloads: 1, bytes: 1_048_576, requests: 100, lanes: 4 },
  { name: 'iv   1000 x 200 B', payloads: 1_000, bytes: 200, requests: 50, lanes: 4 },
  // many people at once: their records become durable together
  { name: 'i    64 at a time', payloads: 1, bytes: 200, requests: 5_000, lanes: 64 },
  { name: 'ii   64 at a time', payloads: 20, bytes: 1_024, requests: 1_000, lanes: 64 },
];
type Shape = (typeof SHAPES)[number];

/** Who takes part, and what is sent to it. */
interface Contestant {
  readonly name: string;
  readonly server: ServerProcess;
  readonly bodyOf: (payloads: readonly Payload[]) => Promise<Buffer>;
}

/** Of one contestant and shape: the middle of the rounds. */
interface Result {
  readonly cpuSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentMib: number;
}

/** @param against - a folder with checkouts of the official samples. */
export async function benchDecode(against: string | undefined): Promise<void> {
  const issuer = await startIssuer();
  const contestants = [...(await ours(issuer)), ...(await samplesIn(against))];
  const headers = {
    'Content-Type': 'application/json',
    'X-Namespace': NAMESPACE,
    Authorization: `Bearer ${await issuer.token('alice@example.com')}`,
  };
  const results = new Map<Shape, Result[]>();
  for (const shape of SHAPES) {
    const works = await Promise.all(
      contestants.map(async ({ bodyOf }): Promise<Work> => {
        const body = await bodyOf(plainPayloads(shape));
        return { headers, body, requests: shape.requests, lanes: shape.lanes, ca: issuer.ca };
      }),
    );
    results.set(shape, await interleaved(contestants, works));
  }
  await Promise.all([...contestants.map(({ server }) => server.stop()), issuer.stop()]);
  const names = contestants.map(({ name }) => name);
  tell(names, results);
}

/** Ours and the echo, each over HTTP and HTTPS; all get the same bodies. */
async function ours(issuer: Issuer): Promise<Contestant[]> {
  const { certificates } = issuer;
  const secret = randomBytes(32);
  const keys = new LocalWrappingKey([{ id: 'bench', secret }]);
  const codec = new EncryptionCodec({ namespace: NAMESPACE, keys });
  const bodyOf = async (payloads: readonly Payload[]): Promise<Buffer> =>
    writePayloads(await codec.encode([...payloads]));
  const configuration = {
    keys: [{ namespaces: [NAMESPACE], wrap: { provider: 'local', file: 'keys.yaml' } }],
    access: {
      issuers: [issuer.configuration],
      roles: { source: 'static', people: { 'alice@example.com': [`namespace:admin@${NAMESPACE}`] } },
    },
  };
  const files = { 'keys.yaml': `keys: [{ id: bench, secret: ${secret.toString('base64')} }]` };
  const keyhole = (tls: boolean) => startKeyhole({ certificates, tls, configuration, files });
  const echo = (env: Record<string, string>) => {
    const args = ['--import', 'tsx', fileURLToPath(new URL('echo.ts', import.meta.url))];
    return startTelling({ command: process.execPath, args, env });
  };
  return [
    { name: 'keyhole', server: await keyhole(false), bodyOf },
    { name: 'echo', server: await echo({}), bodyOf },
    { name: 'keyhole, TLS', server: await keyhole(true), bodyOf },
    {
      name: 'echo, TLS',
      server: await echo({ BENCH_CERT: certificates.cert, BENCH_KEY: certificates.key }),
      bodyOf,
    },
  ];
}

async function samplesIn(directory: string | undefined): Promise<Contestant[]> {
  const samples = directory === undefined ? [] : await officialSamples(directory);
  return Promise.all(
    samples.map(async ({ name, start }) => ({ name, server: await start(), bodyOf: sealedAsTheSamplesDo })),
  );
}

function sealedAsTheSamplesDo(payloads: readonly Payload[]): Promise<Buffer> {
  const metadata = {
    encoding: Buffer.from('binary/encrypted'),
    'encryption-key-id': Buffer.from(SAMPLE_KEY.id),
  };
  const sealed = payloads.map((payload) => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', SAMPLE_KEY.secret, nonce);
    const data = Buffer.concat([
      nonce,
      cipher.update(writePayload(payload)),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    return { metadata, data };
  });
  return Promise.resolve(writePayloads(sealed));
}

function plainPayloads({ payloads, bytes }: Shape): Payload[] {
  const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.alloc(bytes, 'a') };
  return Array.from({ length: payloads }, () => plain);
}

/** The machine may be busy with other things: what is compared was measured one after the other in the same round. */
async function interleaved(contestants: readonly Contestant[], works: readonly Work[]): Promise<Result[]> {
  const cpu: number[][] = contestants.map(() => []);
  const latencies: number[][] = contestants.map(() => []);
  for (let round = -FIRST_ROUNDS; round < ROUNDS; round++) {
    for (const [index, { server }] of contestants.entries()) {
      const work = works[index];
      if (work === undefined) continue;
      const { cpuSeconds, latenciesMs } = await measure(server, work);
      if (round < 0) continue;
      cpu[index]?.push(cpuSeconds);
      latencies[index]?.push(...latenciesMs);
    }
  }
  return contestants.map(({ server }, index) => ({
    cpuSeconds: percentile(cpu[index] ?? [], 0.5),
    p50Ms: percentile(latencies[index] ?? [], 0.5),
    p99Ms: percentile(latencies[index] ?? [], 0.99),
    residentMib: server.residentMib(),
  }));
}

function tell(names: readonly string[], results: ReadonlyMap<Shape, readonly Result[]>): void {
  const table = (title: string, cell: (result: Result, all: readonly Result[]) => string): void => {
    const rows = [...results].map(([{ name }, all]) => [name, ...all.map((result) => cell(result, all))]);
    printTable(title, ['', ...names], rows);
  };
  table(
    `/decode, CPU-seconds for 1000 requests (steady: median of ${ROUNDS} interleaved rounds)`,
    ({ cpuSeconds }) => cpuSeconds.toFixed(3),
  );
  table('keyhole’s CPU as a multiple of theirs', ({ cpuSeconds }, [keyhole]) =>
    ((keyhole?.cpuSeconds ?? NaN) / cpuSeconds).toFixed(2),
  );
  table(
    'milliseconds a request, four at a time unless it says so: p50 / p99',
    ({ p50Ms, p99Ms }) => `${p50Ms.toFixed(1)} / ${p99Ms.toFixed(1)}`,
  );
  table('resident memory, MiB', ({ residentMib }) => residentMib.toFixed(0));
}
