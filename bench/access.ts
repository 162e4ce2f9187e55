// What it costs to know who asks and whether they may, and to put it on record: `npm run bench -- access`.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AuditEvent } from '../src/access/audit/audit-log.js';
import type * as FileAuditLogs from '../src/access/audit/file-audit-log.js';
import type * as Policies from '../src/access/policy.js';
import type { CloudGroup, CloudUser } from '../src/access/roles/cloud-access.js';
import type { CloudLists, CloudOperations, Page } from '../src/access/roles/cloud-operations-client.js';
import type * as CloudRoles from '../src/access/roles/temporal-cloud.js';
import type * as Verifiers from '../src/access/tokens/token-verifier.js';
import { writePayloads } from '../src/server/json/payload-json-writer.js';
import { built, EncryptionCodec, LocalWrappingKey } from './built.js';
import { startIssuer, type Issuer } from './issuer.js';
import { startKeyhole } from './keyhole.js';
import { measure, percentile, type Work } from './load.js';
import type { ServerProcess } from './server-process.js';
import { printTable } from './table.js';

const { Policy } = (await built('access/policy.js')) as typeof Policies;
const { TemporalCloudRoles } = (await built('access/roles/temporal-cloud.js')) as typeof CloudRoles;
const { TokenVerifier } = (await built('access/tokens/token-verifier.js')) as typeof Verifiers;
const { openAuditFile } = (await built('access/audit/file-audit-log.js')) as typeof FileAuditLogs;

const NAMESPACE = 'bench.a1b2c';
/** Alice herself is admin of it. */
const OWN = 'own.a1b2c';
const ALICE = 'alice@example.com';
const PEOPLE = 10_000;
const GROUPS = 20;
const ROUNDS = 5;
const PATIENCE = new AbortController();

export async function benchAccess(): Promise<void> {
  const issuer = await startIssuer();
  await benchDecisions(issuer);
  await benchRecord();
  await benchRecordedDecode(issuer);
  await issuer.stop();
}

async function benchDecisions(issuer: Issuer): Promise<void> {
  const { issuer: name, audience } = issuer.configuration;
  const jwks = `${name}/jwks`;
  const options = { issuer: name, jwks, audience: [audience], ca: issuer.ca, emailClaim: 'email' };
  const verifier = new TokenVerifier({ issuers: [options] });
  const newVerifier = () => new TokenVerifier({ issuers: [options], previous: verifier });
  const source = new TemporalCloudRoles({
    address: 'localhost:1',
    apiVersion: 'v0.13.0',
    apiKey: () => Promise.resolve('none'),
    wanted: new Set(['namespace:admin']),
    operations: new LargeAccount(),
    staleMs: 900_000,
  });
  const policy = new Policy({ rules: [{ roles: ['namespace:admin'], may: ['decode'] }], source });
  const authorization = `Bearer ${await issuer.token(ALICE)}`;
  const alice = await verifier.authenticate(authorization, PATIENCE);
  const decide = (namespace: string): Promise<unknown> => policy.decide(alice, 'decode', namespace, PATIENCE);
  const authenticate = (): Promise<unknown> => verifier.authenticate(authorization, PATIENCE);
  const rows = [
    ['a token seen before', 20_000, authenticate],
    ['a token seen for the first time', 2_000, () => newVerifier().authenticate(authorization, PATIENCE)],
    [`a decision by a role of one’s own, among ${PEOPLE} people`, 20_000, () => decide(OWN)],
    [`a decision by the last of ${GROUPS} groups that give the role`, 20_000, () => decide(NAMESPACE)],
    [
      'both: a request of a burst, by a role of one’s own',
      20_000,
      () => authenticate().then(() => decide(OWN)),
    ],
  ] as const;
  const told: string[][] = [];
  for (const [what, times, work] of rows) told.push([what, (await microseconds(times, work)).toFixed(1)]);
  source.close();
  printTable(`CPU-microseconds, one after the other (median of ${ROUNDS} rounds)`, ['', 'µs'], told);
}

/** Of this process, its threads included: another one's work does not count. */
async function microseconds(times: number, work: () => Promise<unknown>): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const before = process.cpuUsage();
    for (let time = 0; time < times; time += 1) await work();
    const { user, system } = process.cpuUsage(before);
    if (round > 0) rounds.push((user + system) / times);
  }
  return percentile(rounds, 0.5);
}

/** Everybody reads the account; the groups are admins of the namespace, and Alice is in the last. */
class LargeAccount implements CloudOperations {
  page<L extends keyof CloudLists>(list: L, { of }: { readonly of: string }): Promise<Page<CloudLists[L]>> {
    return Promise.resolve({ rows: rowsOf(list, of) as CloudLists[L][], nextPageToken: '' });
  }

  accountId(): Promise<string> {
    return Promise.resolve('a1b2c');
  }

  seesAccess(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): void {
    return undefined;
  }
}

const ADMIN = { permission: 1, permissionDeprecated: '' };

function rowsOf(list: keyof CloudLists, of: string): unknown[] {
  const active = { state: 3, stateDeprecated: '' };
  const reads = { role: 5, roleDeprecated: '', customRoles: [] };
  if (list === 'users')
    return Array.from({ length: PEOPLE }, (_, index): CloudUser => {
      const email = index === 0 ? ALICE : `user${index}@example.com`;
      const namespaces = new Map(index === 0 ? [[OWN, ADMIN]] : []);
      return { id: email, email, ...active, account: reads, namespaces };
    });
  if (list === 'groups')
    return Array.from({ length: GROUPS }, (_, index): CloudGroup => {
      const namespaces = new Map([[NAMESPACE, ADMIN]]);
      return { id: `group ${index}`, ...active, account: reads, namespaces };
    });
  if (list === 'members') return of === `group ${GROUPS - 1}` ? [ALICE] : ['somebody'];
  return [];
}

async function benchRecord(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-bench-'));
  const writer = { version: '0', configuration: undefined };
  const log = await openAuditFile(join(directory, 'audit.ndjson'), { writer });
  const rows: string[][] = [];
  for (const lanes of [1, 16, 64, 256]) {
    const latenciesMs: number[] = [];
    const startedMs = performance.now();
    const lane = async (): Promise<void> => {
      for (let time = 0; time < 4_096 / lanes; time += 1) {
        const askedMs = performance.now();
        await log.append(EVENT);
        latenciesMs.push(performance.now() - askedMs);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    const perSecond = (latenciesMs.length / (performance.now() - startedMs)) * 1000;
    const [p50, p99] = [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.99)];
    rows.push([String(lanes), p50.toFixed(2), p99.toFixed(2), perSecond.toFixed(0)]);
  }
  await log.close();
  await rm(directory, { recursive: true });
  printTable('records made durable in a file', ['at once', 'p50 ms', 'p99 ms', 'a second'], rows);
}

const EVENT: AuditEvent = {
  requestId: '01a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8',
  action: 'decode',
  status: 200,
  outcome: 'ok',
  who: {
    subject: 'auth0|alice',
    email: ALICE,
    issuer: 'https://idp.example',
    method: 'bearer',
    address: '127.0.0.1',
  },
  namespace: { claimed: NAMESPACE, bound: [NAMESPACE] },
  why: { rule: 0, role: 'namespace:admin', source: 'static', ageMs: 0 },
  alsoOpened: [],
  keys: ['bench'],
  payloads: { opened: 1, sealed: 0, passed: 0, failed: 0, refused: 0 },
  digests: ['a'.repeat(64)],
};

/** `measure` has four requests under way: so many of it at once are what a history page is. */
const PAGES = 16;

async function benchRecordedDecode(issuer: Issuer): Promise<void> {
  const secret = randomBytes(32);
  const codec = new EncryptionCodec({
    namespace: NAMESPACE,
    keys: new LocalWrappingKey([{ id: 'bench', secret }]),
  });
  const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.alloc(200, 'a') };
  const options = {
    certificates: issuer.certificates,
    tls: false,
    files: { 'keys.yaml': `keys: [{ id: bench, secret: ${secret.toString('base64')} }]` },
    configuration: {
      keys: [{ namespaces: [NAMESPACE], wrap: { provider: 'local', file: 'keys.yaml' } }],
      access: {
        issuers: [issuer.configuration],
        roles: { source: 'static', people: { [ALICE]: [`namespace:admin@${NAMESPACE}`] } },
      },
    },
  };
  const program = fileURLToPath(new URL('unrecorded.mjs', import.meta.url));
  const servers = [await startKeyhole(options), await startKeyhole({ ...options, program })];
  const headers = {
    'Content-Type': 'application/json',
    'X-Namespace': NAMESPACE,
    Authorization: `Bearer ${await issuer.token(ALICE)}`,
  };
  const body = writePayloads(await codec.encode([plain]));
  const work: Work = { headers, body, requests: 300, lanes: 4, ca: issuer.ca };
  const rates: number[][] = [[], []];
  const costs: number[][] = [[], []];
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [index, server] of servers.entries()) {
      const { perSecond, cpuSeconds } = await pagesAtOnce(server, work);
      if (round === 0) continue;
      rates[index]?.push(perSecond);
      costs[index]?.push(cpuSeconds);
    }
  }
  await Promise.all(servers.map((server) => server.stop()));
  const [recorded = NaN, unrecorded = NaN] = rates.map((all) => percentile(all, 0.5));
  const [dear = NaN, cheap = NaN] = costs.map((all) => percentile(all, 0.5));
  printTable(
    `/decode of 1 x 200 B, ${4 * PAGES} at once (median of ${ROUNDS} interleaved rounds)`,
    ['', 'a second', 'the server’s CPU-s for 1000'],
    [
      ['with the durable record', recorded.toFixed(0), dear.toFixed(3)],
      ['with no record', unrecorded.toFixed(0), cheap.toFixed(3)],
      [
        'the first as a part of the second',
        `${((recorded / unrecorded) * 100).toFixed(0)} %`,
        `${((dear / cheap) * 100).toFixed(0)} %`,
      ],
    ],
  );
}

/** The warm-up of `measure` is a tenth more, and counts here. */
async function pagesAtOnce(
  server: ServerProcess,
  work: Work,
): Promise<{ readonly perSecond: number; readonly cpuSeconds: number }> {
  const requests = PAGES * work.requests * 1.1;
  const before = server.cpuSeconds();
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: PAGES }, () => measure(server, work)));
  const perSecond = (requests / (performance.now() - startedMs)) * 1000;
  return { perSecond, cpuSeconds: ((server.cpuSeconds() - before) / requests) * 1000 };
}
