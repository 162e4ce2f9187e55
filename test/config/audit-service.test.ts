// The record of a service over its life: which configuration it was that decided, and the second copy.
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { parseCheckpoint } from '../../src/access/audit/checkpoints.js';
import { verifyAudit } from '../../src/access/audit/verify.js';
import { createSecret } from '../../src/access/tokens/credentials.js';
import type { Service } from '../../src/config/service.js';
import { startService } from '../../src/config/start-service.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { Collector } from '../access/audit/collector.js';
import { filesOf, linesOf } from '../access/audit/events.js';
import { gate } from '../gate.js';
import { keepStream, plantSecret } from '../streams.js';
import { makeFolder, type Folder } from './folder.js';

const ORDERS = 'orders.a1b2c';
const BODY = JSON.stringify({ payloads: [{ metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'MQ==' }] });
const WRITE = [`namespace:write@${ORDERS}`];
const TOKEN = plantSecret('Bearer collector-token-8c02e6d1');

let certificates: Certificates;
let folder: Folder;
let service: Service | undefined;
let log: string;
let credential: ReturnType<typeof createSecret>;

beforeAll(async () => {
  certificates = await makeCertificates();
});
beforeEach(async () => {
  folder = await makeFolder();
  mkdirSync(join(folder.path, 'record'));
  credential = createSecret();
  plantSecret(credential.secret);
  log = '';
});
afterEach(async () => {
  await service?.stop({ hurry: true });
  service = undefined;
  await folder.remove();
});

/** What the tests change is what the program may do, and where the record goes as well. */
async function configure(roles: readonly string[], audit: object | 'stdout' = {}): Promise<string> {
  const path = await folder.configure({
    listen: '127.0.0.1:0',
    metrics: { listen: '127.0.0.1:0' },
    keys: [{ namespaces: [ORDERS], wrap: { provider: 'local', file: 'keys.yaml' } }],
    access: {
      issuers: [{ issuer: 'https://idp.example/', audience: 'keyhole', emailDomains: ['example.com'] }],
      roles: { source: 'static', people: {} },
      credentials: [{ name: 'ci', sha256: credential.sha256, roles, expires: '2099-12-31' }],
    },
    audit: audit === 'stdout' ? audit : { file: 'record/audit.ndjson', ...audit },
  });
  return hash('sha256', await readFile(path, 'utf8'));
}

async function start(stdout: Writable = new PassThrough(), load = () => folder.load()): Promise<Service> {
  const write = (line: string): void => {
    log += line;
    keepStream('service-log', line);
  };
  const started = await startService({
    config: await folder.config(),
    load,
    logger: pino({}, { write }),
    stdout,
  });
  if ('problems' in started) throw new Error(JSON.stringify(started.problems));
  service = started.service;
  return service;
}

async function encode({ urls }: Service, secret = credential.secret): Promise<number> {
  const headers = {
    authorization: `Bearer ${secret}`,
    'x-namespace': ORDERS,
    'content-type': 'application/json',
  };
  return (await fetch(`${urls.url}/encode`, { method: 'POST', headers, body: BODY })).status;
}

/** A request whose body is awaited, and how it ends once that has come. */
async function begunEncoding({ urls }: Service): Promise<{ finish: () => Promise<number | undefined> }> {
  const sent = request(`${urls.url}/encode`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${credential.secret}`,
      'x-namespace': ORDERS,
      'content-type': 'application/json',
      'content-length': BODY.length,
      expect: '100-continue',
    },
  });
  sent.flushHeaders();
  await once(sent, 'continue');
  const finish = async (): Promise<number | undefined> => {
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
    sent.end(BODY);
    const [answer] = await answered;
    answer.resume();
    return answer.statusCode;
  };
  return { finish };
}

const path = (): string => join(folder.path, 'record', 'audit.ndjson');

/** What each line is, and the configuration that it names. */
async function told(): Promise<unknown[]> {
  const lines = (await linesOf(path())) as unknown as {
    unmapped: { type: string; configuration?: string };
  }[];
  return lines.map(({ unmapped: { type, configuration } }) =>
    configuration === undefined ? type : [type, configuration],
  );
}

describe('the configuration', () => {
  test('is on record by its digest at the start, and each other one before it is used', async () => {
    const first = await configure(WRITE);
    const running = await start();
    expect(await encode(running)).toBe(200);
    const second = await configure(['namespace:read@billing.a1b2c']);
    await running.reload();
    await running.reload();
    expect(await encode(running)).toBe(403);
    expect(await told()).toEqual([['start', first], 'request', ['configuration', second], 'request']);
  });

  test('that came last is named by the next chain', async () => {
    await configure(WRITE);
    const running = await start();
    const second = await configure([...WRITE, 'namespace:read@billing.a1b2c']);
    await running.reload();
    renameSync(path(), `${path()}.1`);
    await running.reload();
    expect(await told()).toEqual([['start', second]]);
    expect((await verifyAudit(await filesOf(path()))).mistakes).toEqual([]);
  });

  test('that cannot be put on record is not used', async () => {
    let holds = false;
    let release = (): void => undefined;
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => {
        if (holds) release = done;
        else done();
      },
    });
    await configure(WRITE, 'stdout');
    const running = await start(stdout);
    await configure(['namespace:read@billing.a1b2c'], 'stdout');
    holds = true;
    await running.reload();
    expect(log).toContain('the reload failed; what ran goes on');
    holds = false;
    release();
    expect(await encode(running)).toBe(200);
    await running.reload();
    expect(await encode(running)).toBe(403);
  });
});

test('a record that a reload replaced has all its lines, proven by a checkpoint, once the service has stopped', async () => {
  let old = '';
  const slowly = (chunk: Buffer, _encoding: string, done: () => void): void => {
    old += chunk.toString();
    setTimeout(done, 100);
  };
  await configure(WRITE, 'stdout');
  const running = await start(new Writable({ write: slowly }));
  expect(await encode(running, createSecret().secret)).toBe(401);
  await configure(WRITE);
  await running.reload();
  expect(await encode(running)).toBe(200);
  await running.stop({ hurry: true });
  service = undefined;
  expect(old).toContain('"type":"refusals"');
  const before = await folder.write('record/before.ndjson', old);
  const checkpoints = [...log.matchAll(/"checkpoint":"([^"]+)"/g)]
    .flatMap(([, text = '']) => parseCheckpoint(text) ?? [])
    .filter(({ chain }) => old.includes(chain));
  expect(await verifyAudit([before], checkpoints)).toMatchObject({ mistakes: [], notes: [] });
});

test('a request that outlives two reloads, to another file and back, writes into no chain that has ended', async () => {
  mkdirSync(join(folder.path, 'other'));
  const [there, other] = [{}, { file: 'other/audit.ndjson' }];
  await configure(WRITE, there);
  const running = await start();
  const slow = await begunEncoding(running);
  for (const audit of [other, there]) {
    await configure(WRITE, audit);
    await running.reload();
    expect(await encode(running)).toBe(200);
  }
  expect(await slow.finish()).toBe(503);
  expect((await verifyAudit(await filesOf(path()))).mistakes).toEqual([]);
});

describe('the second copy', () => {
  let collector: Collector;
  beforeEach(async () => {
    collector = new Collector();
    await collector.listen(certificates);
    await folder.write('ca.pem', certificates.ca);
    await folder.write('collector', `${TOKEN}\n`);
    return () => collector.stop();
  });
  const webhook = (to = collector): object => ({
    webhook: { url: to.url, ca: 'ca.pem', authorizationFile: 'collector' },
  });

  test('is the whole record, from the first line to the checkpoint of the end', async () => {
    await configure(WRITE, webhook());
    const running = await start();
    expect(await encode(running)).toBe(200);
    await running.stop({ hurry: true });
    service = undefined;
    expect(collector.text).toBe(await readFile(path(), 'utf8'));
    expect(new Set(collector.received.map(({ authorization }) => authorization))).toEqual(new Set([TOKEN]));
    const checkpoints = collector.checkpoints.flatMap((text) => parseCheckpoint(text) ?? []);
    expect(await verifyAudit([path()], checkpoints)).toMatchObject({ mistakes: [], notes: [] });
    expect(log).not.toContain('webhook');
  });

  test('goes to another collector once the configuration says so, and the record goes on', async () => {
    const other = new Collector();
    await other.listen(certificates);
    await configure(WRITE, webhook());
    const running = await start();
    await configure(WRITE, webhook(other));
    await running.reload();
    expect(await encode(running)).toBe(200);
    await expect.poll(() => other.text).toContain('"type":"request"');
    expect(collector.text).toContain('"type":"configuration"');
    expect(`${collector.text}${other.text}`).toBe(await readFile(path(), 'utf8'));
    await other.stop();
  });

  test('that nobody takes keeps no caller waiting', async () => {
    collector.gate = new Promise(() => undefined);
    await configure(WRITE, webhook());
    const running = await start();
    expect(await encode(running)).toBe(200);
    expect(await told()).toHaveLength(2);
    collector.gate = undefined;
  });
});

test('a reload whose configuration does not come keeps no later one from going on in a new file', async () => {
  await configure(WRITE);
  const [asked, come] = [gate(), gate()];
  const running = await start(undefined, () => {
    asked.open();
    return come.opened.then(() => folder.load());
  });
  void running.reload();
  await asked.opened;
  const kept = join(folder.path, 'record', 'kept.ndjson');
  renameSync(path(), kept);
  void running.reload();
  await expect.poll(() => existsSync(path())).toBe(true);
  expect(await encode(running)).toBe(200);
  expect(await readFile(path(), 'utf8')).toContain('"type":"request"');
  come.open();
});

test('a reload whose configuration comes after the stop begins no record that nobody ends', async () => {
  await configure(WRITE);
  const [asked, come] = [gate(), gate()];
  const running = await start(undefined, () => {
    asked.open();
    return come.opened.then(() => folder.load());
  });
  const reloading = running.reload();
  await asked.opened;
  await configure(WRITE, { file: 'other.ndjson' });
  await running.stop({ hurry: true });
  service = undefined;
  come.open();
  await reloading;
  expect(existsSync(join(folder.path, 'other.ndjson'))).toBe(false);
});

test('a reload whose configuration never comes keeps a stop waiting for five seconds, not for ever', async () => {
  await configure(WRITE);
  const running = await start(undefined, () => new Promise(() => undefined));
  void running.reload();
  await running.stop({ hurry: true });
  service = undefined;
});
