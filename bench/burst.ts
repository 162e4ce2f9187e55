// A history page that is opened for the first time: how long 150 requests on 6 fresh connections take, and what they ask others.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Payload } from '@temporalio/common';
import { writePayloads } from '../src/server/json/payload-json-writer.js';
import { startCloudOperations } from '../test/parts/cloud-operations.js';
import { awsKms, EncryptionCodec } from './built.js';
import { startDistantKms, type DistantKms } from './distant-kms.js';
import { startIssuer, type Issuer } from './issuer.js';
import { startKeyhole } from './keyhole.js';
import { printTable } from './table.js';

/** What is cached of one is of no use for the other, but for the account’s lists of people and groups. */
const FIRST = { namespace: 'first.a1b2c', email: 'alice@example.com' };
const SECOND = { namespace: 'second.a1b2c', email: 'bob@example.com' };
const CONNECTIONS = 6;
const REQUESTS = 150;
const PAYLOADS = 225;
const KEY_SERVICE_MS = 20;

type DataKeys = 'one data key' | '225 data keys';
type Sending = 'all sent at once' | 'one by one';

/** @param rounds - each against a server of its own; the middle one is told. */
export async function benchBurst(rounds = 5): Promise<void> {
  const issuer = await startIssuer();
  const kms = await startDistantKms(KEY_SERVICE_MS);
  const rows: string[][] = [];
  for (const tls of [false, true]) {
    for (const dataKeys of ['one data key', '225 data keys'] as const) {
      for (const sending of ['all sent at once', 'one by one'] as const) {
        const bursts: Burst[] = [];
        for (let round = 0; round < rounds; round++)
          bursts.push(await burst({ issuer, kms, tls, dataKeys, sending }));
        rows.push(rowOf(`${dataKeys}, ${tls ? 'TLS, ' : ''}${sending}`, bursts));
      }
    }
  }
  await Promise.all([issuer.stop(), kms.stop()]);
  printTable(
    `${REQUESTS} requests with ${PAYLOADS} payloads on ${CONNECTIONS} fresh connections, key service ${KEY_SERVICE_MS} ms away (median of ${rounds})
first: to a server that has only just started; again: the same page; other: then the page of another namespace, by
somebody else, of which nothing is cached but the account’s lists of people and groups`,
    [
      '',
      'first: ms',
      'key calls',
      'at once',
      'role lists',
      'again: ms',
      'key calls',
      'other: ms',
      'key calls',
      'at once',
    ],
    rows,
  );
}

interface BurstOptions {
  readonly issuer: Issuer;
  readonly kms: DistantKms;
  readonly tls: boolean;
  readonly dataKeys: DataKeys;
  readonly sending: Sending;
}

interface Burst {
  readonly first: Figures;
  readonly again: Figures;
  readonly second: Figures;
}

interface Figures {
  readonly tookMs: number;
  readonly keyCalls: number;
  /** The most calls to the key service that were on their way at once. */
  readonly atOnce: number;
  /** Questions to the Operations API, with those of the start. */
  readonly roleLists: number;
}

async function burst({ issuer, kms, tls, dataKeys, sending }: BurstOptions): Promise<Burst> {
  const { certificates } = issuer;
  const people = [FIRST, SECOND];
  const users = people.map(({ email }) => ({ email, account: 'admin' }));
  const cloud = await startCloudOperations({ certificates, users });
  const server = await startKeyhole({
    certificates,
    tls,
    configuration: {
      keys: people.map(({ namespace }) => ({
        namespaces: [namespace],
        wrap: { provider: 'aws-kms' },
        reads: ['encryption-jwt'],
        insecureSharedKeyReads: true, // the stand-in has but one key
      })),
      access: { account: 'a1b2c', issuers: [issuer.configuration], roles: { ca: './ca.pem' } },
    },
    env: {
      AWS_ENDPOINT_URL_KMS: kms.url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'bench',
      AWS_SECRET_ACCESS_KEY: 'bench',
      AWS_EC2_METADATA_DISABLED: 'true',
      NODE_NO_WARNINGS: '1',
      TEMPORAL_API_KEY: 'bench',
      TEMPORAL_OPS_ADDRESS: cloud.address,
    },
  });
  const pageOf = async ({ namespace, email }: typeof FIRST): Promise<Buffer[]> =>
    requestsFor(await sealed(kms, dataKeys, namespace), namespace, await issuer.token(email));
  const [page, other] = [await pageOf(FIRST), await pageOf(SECOND)];
  await untilReady(server.url, issuer.ca);
  const send = async (requests: readonly Buffer[]): Promise<Figures> => {
    kms.seen.calls = kms.seen.inFlight = 0;
    const startedMs = performance.now();
    const shares = Array.from({ length: CONNECTIONS }, (_, at) =>
      requests.filter((_request, index) => index % CONNECTIONS === at),
    );
    await Promise.all(shares.map((share) => ask(server.url, issuer.ca, share, sending)));
    const tookMs = performance.now() - startedMs;
    const { calls: keyCalls, inFlight: atOnce } = kms.seen;
    return { tookMs, keyCalls, atOnce, roleLists: cloud.asked.length };
  };
  const figures = { first: await send(page), again: await send(page), second: await send(other) };
  await Promise.all([server.stop(), cloud.stop()]);
  return figures;
}

/** One data key in our own format, or the seed's format, which has one a payload. */
async function sealed({ client }: DistantKms, dataKeys: DataKeys, namespace: string): Promise<Payload[]> {
  const keys = awsKms({ client });
  const write = dataKeys === 'one data key' ? 'keyhole/v1' : 'encryption-jwt';
  const codec = new EncryptionCodec({ namespace, keys, write });
  const payloads: Payload[] = [];
  for (let at = 0; at < PAYLOADS; at++) {
    const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.alloc(500, 'a') };
    payloads.push(...(await codec.encode([plain])));
    if (dataKeys === '225 data keys') codec.rotate();
  }
  return payloads;
}

/** Every second one has two payloads. */
function requestsFor(payloads: readonly Payload[], namespace: string, token: string): Buffer[] {
  return Array.from({ length: REQUESTS }, (_, at) => {
    const first = at + Math.floor(at / 2);
    const body = writePayloads(payloads.slice(first, first + 1 + (at % 2)));
    const head = [
      'POST /decode HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/json',
      `X-Namespace: ${namespace}`,
      `Authorization: Bearer ${token}`,
      `Content-Length: ${body.length}`,
    ];
    return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]);
  });
}

/** On one fresh connection; resolves with the last answer. */
function ask(url: string, ca: string, requests: readonly Buffer[], sending: Sending): Promise<void> {
  const { hostname: host, port, protocol } = new URL(url);
  const socket: Socket =
    protocol === 'https:' ? connectTls({ host, port: Number(port), ca }) : connect(Number(port), host);
  return new Promise<void>((resolve, reject) => {
    let sent = sending === 'one by one' ? 1 : requests.length;
    let answered = 0;
    let received = Buffer.alloc(0);
    socket.setNoDelay();
    socket.write(Buffer.concat(requests.slice(0, sent)));
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      for (let end = endOfAnswer(received); end !== undefined; end = endOfAnswer(received)) {
        if (!received.toString('latin1', 0, 12).endsWith(' 200'))
          reject(new Error(received.toString('latin1', 0, end)));
        received = received.subarray(end);
        answered += 1;
        const next = requests[sent];
        if (next !== undefined) socket.write(next);
        sent += 1;
        if (answered === requests.length) resolve();
      }
    });
  }).finally(() => socket.destroy());
}

function endOfAnswer(received: Buffer): number | undefined {
  const head = received.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const length = /content-length: (\d+)/i.exec(received.toString('latin1', 0, head))?.[1];
  const end = head + 4 + Number(length ?? 0);
  return end <= received.length ? end : undefined;
}

/** On a connection that is not one of the six. */
async function untilReady(url: string, ca: string): Promise<void> {
  const ready = Buffer.from('GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n');
  for (;;) {
    const answer = await ask(url, ca, [ready], 'one by one').then(
      () => true,
      () => false,
    );
    if (answer) return;
  }
}

function rowOf(name: string, bursts: readonly Burst[]): string[] {
  const middle = (figure: (one: Burst) => number): string =>
    ([...bursts].map(figure).sort((a, b) => a - b)[bursts.length >> 1] ?? NaN).toFixed(0);
  return [
    name,
    middle(({ first }) => first.tookMs),
    middle(({ first }) => first.keyCalls),
    middle(({ first }) => first.atOnce),
    middle(({ first }) => first.roleLists),
    middle(({ again }) => again.tookMs),
    middle(({ again }) => again.keyCalls),
    middle(({ second }) => second.tookMs),
    middle(({ second }) => second.keyCalls),
    middle(({ second }) => second.atOnce),
  ];
}
