// Three servers behind HAProxy that share nothing but their configuration: rolled under load, nobody notices.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { filesOfRecord } from '../../src/access/audit/tail.js';
import { fetchTrusting } from '../../src/access/outgoing/trusting-fetch.js';
import { SESSION_COOKIE } from '../../src/access/sign-in/session-cookie.js';
import { createSecret } from '../../src/access/tokens/credentials.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { newLocalKeyFile } from '../../src/keys/providers/local.js';
import { linesOf, said } from '../access/audit/events.js';
import { Command } from '../cli/command.js';
import { HandBrowser } from '../dev/browser.js';
import { describeWithParts } from '../parts/available.js';
import { startHaproxy, type Haproxy } from '../parts/haproxy.js';
import { freePort, type Stoppable } from '../parts/spawn-part.js';
import { plantSecret } from '../streams.js';
import { startKeyhole, type Keyhole } from './keyhole-process.js';
import { startSignInProvider, type SignInProvider } from './sign-in-provider.js';
import { configure, ORDERS } from './system.js';

const INSTANCES = [0, 1, 2] as const;
const CALLERS = 3;
const TEXT = plantSecret('plaintext-behind-a-balancer-4c1e');
const UI = 'https://localhost:8443';

/** What a caller was answered. */
interface Seen {
  readonly status: number;
  readonly requestId: string;
  readonly text: string;
}

describeWithParts(['haproxy'], 'three instances behind a balancer', () => {
  const stops: Stoppable[] = [];
  const { secret, sha256 } = createSecret();
  const running: Keyhole[] = [];
  let logs = '';
  let directory: string;
  let certificates: Certificates;
  let provider: SignInProvider;
  let ports: number[];
  let codec: string;
  let haproxy: Haproxy;
  let sealed: string;

  const keep = <T extends Stoppable>(part: T): T => {
    stops.push(part);
    return part;
  };
  const homeOf = (instance: number): string => join(directory, String(instance));

  beforeAll(async () => {
    plantSecret(secret);
    directory = await mkdtemp(join(tmpdir(), 'keyhole-instances-'));
    keep({ stop: () => rm(directory, { recursive: true, force: true }) });
    certificates = await makeCertificates();
    const port = await freePort();
    codec = `https://localhost:${port}`;
    ports = await Promise.all(INSTANCES.map(freePort));
    const people = [{ email: 'alice@example.com', name: 'Alice' }];
    provider = keep(await startSignInProvider({ certificates, people, codecs: [codec] }));
    await writeShared();
    for (const instance of INSTANCES) {
      await mkdir(homeOf(instance));
      await configure(homeOf(instance), configuration());
    }
    running.push(...(await Promise.all(INSTANCES.map(start))));
    haproxy = keep(
      await startHaproxy({ port, certificate: certificates, instances: ports, readyPath: '/health/ready' }),
    );
    sealed = (await ask('/encode', bodyOf(TEXT))).text;
  });
  afterAll(async () => {
    await Promise.all(running.map((keyhole) => keyhole.stop()));
    for (const part of stops.reverse()) await part.stop();
  });

  async function writeShared(): Promise<void> {
    const files = {
      'keys.yaml': newLocalKeyFile('one'),
      ...provider.files,
      'ca.pem': certificates.ca,
    };
    for (const [name, text] of Object.entries(files))
      await writeFile(join(directory, name), text, { mode: 0o600 });
  }

  const configuration = (): object => ({
    publicUrl: codec,
    trustedProxies: ['127.0.0.1/32'],
    cors: { origins: [UI] },
    limits: { shutdownDelaySeconds: 2, callerRequestsPerSecond: 10_000, callerBurst: 10_000 },
    keys: [{ namespaces: [ORDERS], wrap: { provider: 'local', file: '../keys.yaml' } }],
    access: {
      issuers: [
        { issuer: provider.issuer, audience: 'keyhole', ca: '../ca.pem', emailDomains: ['example.com'] },
      ],
      signIn: provider.signIn('..'),
      roles: { source: 'static', people: { 'alice@example.com': [`namespace:admin@${ORDERS}`] } },
      credentials: [{ name: 'load', sha256, roles: [`namespace:admin@${ORDERS}`], expires: '2099-12-31' }],
    },
  });

  async function start(instance: number): Promise<Keyhole> {
    const env = { KEYHOLE_LISTEN: `127.0.0.1:${ports[instance]}` };
    return startKeyhole({ directory: homeOf(instance), env, ca: certificates.ca });
  }

  /** Ends it as a supervisor does; what it said is kept. */
  async function stop(instance: number): Promise<void> {
    await running[instance]?.stop();
    logs += running[instance]?.log() ?? '';
  }

  async function ask(path: string, body: string, headers: Record<string, string> = {}): Promise<Seen> {
    const answer = await fetchTrusting(certificates.ca)(`${codec}${path}`, {
      method: 'POST',
      headers: {
        ...(headers['cookie'] === undefined && { authorization: `Bearer ${secret}` }),
        'content-type': 'application/json',
        'x-namespace': ORDERS,
        ...headers,
      },
      body,
    });
    const requestId = answer.headers.get('x-request-id') ?? '';
    return { status: answer.status, requestId, text: await answer.text() };
  }

  /** Request ids on record, by instance. */
  async function recorded(): Promise<string[][]> {
    return Promise.all(
      INSTANCES.map(async (instance) => {
        const files = await filesOfRecord(join(homeOf(instance), 'keyhole-audit.ndjson'));
        const lines = (await Promise.all(files.map(linesOf))).flat();
        return lines.filter(({ unmapped }) => unmapped.type === 'request').map(said);
      }),
    );
  }

  test('take a sign-in that another began, and a session that another made', async () => {
    const browser = new HandBrowser(certificates.ca);
    let target = new URL(`${codec}/signin/start`);
    do {
      const answer = target.pathname.startsWith('/interaction/')
        ? await browser.submit(target.href, target.origin, { person: 'alice@example.com' })
        : await browser.request(target);
      target = new URL(answer.headers.get('location') ?? '', target);
    } while (target.href !== `${codec}/signin`);
    const session = plantSecret(browser.cookies.get(SESSION_COOKIE) ?? '');
    const cookie = `${SESSION_COOKIE}=${session}`;
    const seen: Seen[] = [];
    for (let index = 0; index < 6; index += 1)
      seen.push(await ask('/decode', sealed, { cookie, origin: UI, 'sec-fetch-site': 'same-site' }));
    expect(seen.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 200));
    expect(seen.every(({ text }) => text.includes(dataOf(TEXT)))).toBe(true);
    const ids = new Set(seen.map(({ requestId }) => requestId));
    for (const instance of await recorded()) expect(instance.filter((id) => ids.has(id))).toHaveLength(2);
  });

  test('are rolled one after the other, and no caller sees an error; each answer is on one record', async () => {
    const seen: Seen[] = [];
    let rolling = true;
    const callers = Array.from({ length: CALLERS }, async () => {
      while (rolling) seen.push(await ask('/decode', sealed));
    });
    try {
      for (const instance of INSTANCES) {
        const before = seen.length;
        await stop(instance);
        expect(seen.length).toBeGreaterThan(before);
        running[instance] = await start(instance);
        await vi.waitUntil(async () => (await haproxy.up()) === INSTANCES.length, { timeout: 10_000 });
      }
    } finally {
      rolling = false;
      await Promise.allSettled(callers);
    }
    await Promise.all(callers);
    expect(seen.filter(({ status, text }) => status !== 200 || !text.includes(dataOf(TEXT)))).toEqual([]);
    const records = await recorded();
    const all = records.flat();
    expect(new Set(all).size).toBe(all.length);
    expect(seen.filter(({ requestId }) => !all.includes(requestId))).toEqual([]);
    for (const record of records) expect(record.length).toBeGreaterThan(seen.length / 6);
  });

  test('prove their records together, ends included, with the checkpoints of their logs', async () => {
    await Promise.all(INSTANCES.map(stop));
    const checkpoints = [...logs.matchAll(/"checkpoint":"([^"]+)"/g)].map(([, text = '']) => text);
    expect(checkpoints.length).toBeGreaterThanOrEqual(6); // the end of each, and one for each minute
    const files = (
      await Promise.all(
        INSTANCES.map((instance) => filesOfRecord(join(homeOf(instance), 'keyhole-audit.ndjson'))),
      )
    ).flat();
    const args = [
      'audit',
      'verify',
      '--instances',
      '3',
      ...files,
      ...checkpoints.flatMap((one) => ['--checkpoint', one]),
    ];
    const { code, stdout } = await new Command(args, { cwd: directory }).ended();
    expect(stdout).toMatch(/^\d+ lines in 6 chains: nothing was changed\n$/);
    expect(code).toBe(0);
  });
});

function bodyOf(text: string): string {
  const metadata = { encoding: Buffer.from('json/plain').toString('base64') };
  return JSON.stringify({ payloads: [{ metadata, data: dataOf(text) }] });
}

function dataOf(text: string): string {
  return Buffer.from(JSON.stringify(text)).toString('base64');
}
