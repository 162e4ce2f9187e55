// `keyhole serve` over its life: the line when it listens, reloads, its ends.
import { existsSync } from 'node:fs';
import { open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fetchTrusting } from '../../src/access/outgoing/trusting-fetch.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity/identity-provider.js';
import { ALICE, RITA } from '../../src/dev/people.js';
import { newLocalKeyFile } from '../../src/keys/providers/local.js';
import { makeFolder, type Folder } from '../config/folder.js';
import { keepStream } from '../streams.js';
import { Command } from './command.js';

const ORDERS = 'orders.a1b2c';
const BILLING = 'billing.a1b2c';
const BODY = JSON.stringify({ payloads: [{ metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'MQ==' }] });

let certificates: Certificates;
let provider: IdentityProvider;
let folder: Folder;
const commands: Command[] = [];

beforeAll(async () => {
  certificates = await makeCertificates();
  const people = [ALICE, RITA];
  provider = await startIdentityProvider({ certificates, people, clients: [], audience: 'keyhole' });
});
afterAll(() => provider.stop());
beforeEach(async () => {
  folder = await makeFolder();
  await folder.write('tls.crt', certificates.cert);
  await folder.write('tls.key', certificates.key);
  await folder.write('ca.pem', certificates.ca);
});
afterEach(async () => {
  await Promise.all(commands.splice(0).map((command) => command.kill()));
  await folder.remove();
});

/** What the tests change is the rest. */
function configuration(
  change: object = {},
  people: object = { [ALICE.email]: [`namespace:write@${ORDERS}`] },
): object {
  const { issuer } = provider;
  return {
    listen: '127.0.0.1:0',
    metrics: { listen: '127.0.0.1:0' },
    tls: { cert: 'tls.crt', key: 'tls.key' },
    keys: [{ namespaces: [ORDERS], wrap: { provider: 'local', file: 'keys.yaml' } }],
    access: {
      issuers: [{ issuer, audience: 'keyhole', ca: 'ca.pem', emailDomains: ['example.com'] }],
      roles: { source: 'static', people },
    },
    limits: { shutdownDelaySeconds: 0 },
    ...change,
  };
}

interface Served {
  readonly command: Command;
  readonly url: string;
  /** Status of `POST /encode` as somebody. Default is in `ORDERS`. */
  encode(email: string, namespace?: string): Promise<number>;
  /** Body of a 200. */
  post(path: string, email: string, body: string): Promise<string>;
  ready(): Promise<number>;
}

async function serve(
  stream: 'stdout' | 'stderr' = 'stdout',
  env: Readonly<Record<string, string>> = {},
): Promise<Served> {
  const command = new Command(['serve'], { cwd: folder.path, env });
  commands.push(command);
  const [line] = await command.says(stream, /^\{"msg":"listening".*\}$/m);
  const { url } = JSON.parse(line) as { url: string };
  const fetch = fetchTrusting(certificates.ca);
  const post = async (path: string, email: string, body: string, namespace = ORDERS) => {
    const headers = {
      authorization: `Bearer ${await provider.tokenFor(email)}`,
      'content-type': 'application/json',
      'x-namespace': namespace,
    };
    const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body });
    return { status: answer.status, text: await answer.text() };
  };
  return {
    command,
    url,
    encode: async (email, namespace) => {
      const { status, text } = await post('/encode', email, BODY, namespace);
      keepStream('cli-answers', text);
      return status;
    },
    post: async (path, email, body) => {
      const { status, text } = await post(path, email, body);
      if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
      return text;
    },
    ready: async () => (await fetch(`${url}/health/ready`)).status,
  };
}

async function reload({ command }: Served, said: RegExp): Promise<void> {
  command.signal('SIGHUP');
  await command.says('stderr', said);
}

const TAKEN = /the configuration was read again/;
const REFUSED = /the new configuration cannot be used; the old one stays/;

describe('keyhole serve', () => {
  test('writes one line to stdout when it listens, however quiet its log, and drains on SIGTERM with 0', async () => {
    await folder.configure(configuration());
    const served = await serve('stdout', { KEYHOLE_LOG_LEVEL: 'silent' });
    expect(served.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await served.encode(ALICE.email)).toBe(200);
    expect(await served.ready()).toBe(200);
    served.command.signal('SIGTERM');
    const { code, stdout, stderr } = await served.command.ended();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toHaveLength(2);
    expect(await readFile(join(folder.path, 'keyhole-audit.ndjson'), 'utf8')).toContain(
      '"activity_name":"Encrypt"',
    );
  });

  test('writes that line to stderr where the record has stdout', async () => {
    await folder.configure(configuration({ audit: 'stdout' }));
    const served = await serve('stderr');
    expect(await served.encode(ALICE.email)).toBe(200);
    served.command.signal('SIGTERM');
    const { stdout } = await served.command.ended();
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { unmapped: { type: string }; status_code: string });
    expect(lines).toMatchObject([
      { unmapped: { type: 'start' } },
      { unmapped: { type: 'request' }, status_code: 'ok' },
    ]);
  });

  test('says not ready while it waits for balancers, and a second signal ends it with 1', async () => {
    await folder.configure(configuration({ limits: { shutdownDelaySeconds: 600 } }));
    const served = await serve();
    served.command.signal('SIGTERM');
    await served.command.says('stderr', /"stopping"/);
    expect(await served.ready()).toBe(503);
    served.command.signal('SIGTERM');
    expect((await served.command.ended()).code).toBe(1);
  });

  test('does not wait on Ctrl-C', async () => {
    await folder.configure(configuration({ limits: { shutdownDelaySeconds: 600 } }));
    const served = await serve();
    served.command.signal('SIGINT');
    expect((await served.command.ended()).code).toBe(0);
  });

  test('takes a new configuration on SIGHUP', async () => {
    await folder.configure(configuration());
    const served = await serve();
    expect([await served.encode(ALICE.email), await served.encode(RITA.email)]).toEqual([200, 403]);
    await folder.configure(configuration({}, { [RITA.email]: [`namespace:write@${ORDERS}`] }));
    await reload(served, TAKEN);
    const file = JSON.stringify(join(folder.path, 'keyhole.yaml'));
    await served.command.says('stdout', new RegExp(`"configuration":${file}`));
    await served.command.says('stderr', new RegExp(`"configuration":${file},"msg":"${TAKEN.source}"`));
    expect([await served.encode(ALICE.email), await served.encode(RITA.email)]).toEqual([403, 200]);
  });

  test('rotates its wrapping key on SIGHUP while it seals and opens: each request is answered, each payload opens', async () => {
    const wrapping = (id: string) => ({ provider: 'local', file: `${id}.yaml` });
    const rotatedTo = async (ids: readonly string[]): Promise<void> => {
      const [wrap, ...unwrap] = ids.map(wrapping);
      const keys = [{ namespaces: [ORDERS], wrap, unwrap }];
      await folder.write(`${ids[0] ?? ''}.yaml`, newLocalKeyFile(ids[0] ?? ''));
      await folder.configure(configuration({ keys }, { [ALICE.email]: [`namespace:admin@${ORDERS}`] }));
    };
    await rotatedTo(['key-0']);
    const served = await serve();
    const failures: unknown[] = [];
    const sealedUnder = new Map<string, string>();
    let rotating = true;
    async function roundTrip(): Promise<void> {
      const sealed = await served.post('/encode', ALICE.email, BODY);
      const opened = await served.post('/decode', ALICE.email, sealed);
      if (opened !== BODY) failures.push(opened);
      const [payload] = (JSON.parse(sealed) as { payloads: { metadata: Record<string, string> }[] }).payloads;
      sealedUnder.set(Buffer.from(payload?.metadata['encryption-key-id'] ?? '', 'base64').toString(), sealed);
    }
    async function work(): Promise<void> {
      while (rotating) await roundTrip().catch((error: unknown) => failures.push(error));
    }
    await roundTrip();
    const working = Promise.all([work(), work(), work(), work()]);
    const ids = ['key-0'];
    for (let rotation = 1; rotation <= 5; rotation++) {
      ids.unshift(`key-${rotation}`);
      await rotatedTo(ids);
      await reload(served, new RegExp(`(?:${TAKEN.source}[^]*){${rotation}}`));
      await roundTrip();
    }
    rotating = false;
    await working;
    expect(failures).toEqual([]);
    expect([...sealedUnder.keys()].sort()).toEqual(ids.toReversed());
    for (const sealed of sealedUnder.values())
      expect(await served.post('/decode', ALICE.email, sealed)).toBe(BODY);
  });

  test('remembers over a SIGHUP that a key served two namespaces: no format that binds none is written under it', async () => {
    const wrap = { provider: 'local', file: 'keys.yaml' };
    const roles = [ORDERS, BILLING].map((namespace) => `namespace:write@${namespace}`);
    const people = { [ALICE.email]: roles };
    await folder.configure(configuration({ keys: [{ namespaces: [ORDERS, BILLING], wrap }] }, people));
    const served = await serve();
    expect([await served.encode(ALICE.email), await served.encode(ALICE.email, BILLING)]).toEqual([200, 200]);
    const alone = { namespaces: [ORDERS], wrap, write: 'encryption-jwt' };
    await folder.configure(configuration({ keys: [alone] }, people));
    await reload(served, TAKEN);
    expect(await served.encode(ALICE.email)).toBe(422);
    await folder.configure(configuration({ keys: [{ ...alone, insecureSharedKeyReads: true }] }, people));
    await reload(served, new RegExp(`(?:${TAKEN.source}[^]*){2}`));
    expect(await served.encode(ALICE.email)).toBe(200);
  });

  test('keeps the old one where the new one has a mistake, and logs each', async () => {
    await folder.configure(configuration());
    const served = await serve();
    await folder.configure(configuration({ denied: 'maybe', colour: 1 }, {}));
    await reload(served, REFUSED);
    const [, stderr = ''] = await served.command.says('stderr', /^([^]*)$/);
    expect(stderr).toContain('"msg":"colour: is not a key here');
    expect(stderr).toContain('"msg":"denied: must be one of error, encrypted, notice"');
    expect(await served.encode(ALICE.email)).toBe(200);
  });

  test('keeps the old one where a certificate is replaced by a broken one, and takes a good one', async () => {
    await folder.configure(configuration());
    const served = await serve();
    await folder.write('tls.crt', 'broken');
    await reload(served, REFUSED);
    expect(await served.encode(ALICE.email)).toBe(200);
    await folder.write('tls.crt', certificates.cert);
    await reload(served, TAKEN);
    expect(await served.encode(ALICE.email)).toBe(200);
  });

  test('says what needs a restart', async () => {
    await folder.configure(configuration());
    const served = await serve();
    await folder.configure(configuration({ listen: 'localhost:0', metrics: { listen: 'localhost:0' } }));
    await reload(served, TAKEN);
    const [, stderr = ''] = await served.command.says('stderr', /^([^]*)$/);
    expect([...stderr.matchAll(/"setting":"([^"]+)"/g)].map(([, name]) => name)).toEqual([
      'listen',
      'metrics.listen',
    ]);
    await reload(served, new RegExp(`(?:${TAKEN.source}[^]*){2}`));
    const [, again = ''] = await served.command.says('stderr', /^([^]*)$/);
    expect([...again.matchAll(/"setting":"listen"/g)]).toHaveLength(2);
    await folder.configure(configuration());
    await reload(served, new RegExp(`(?:${TAKEN.source}[^]*){3}`));
    const [, same = ''] = await served.command.says('stderr', /^([^]*)$/);
    expect([...same.matchAll(/"setting":"listen"/g)]).toHaveLength(2);
    expect(await served.encode(ALICE.email)).toBe(200);
  });

  test('tells the last line of the record when it stops; what is on disk names the configuration', async () => {
    await folder.configure(configuration());
    const served = await serve();
    await served.encode(ALICE.email);
    served.command.signal('SIGINT');
    const { stderr } = await served.command.ended();
    const [, checkpoint = ''] = /"checkpoint":"([^"]+)","msg":"audit checkpoint"/.exec(stderr) ?? [];
    const file = join(folder.path, 'keyhole-audit.ndjson');
    const [start = '', request = ''] = (await readFile(file, 'utf8')).split('\n');
    expect(checkpoint).toMatch(/^[0-9a-f]{24}:1:[0-9a-f]{64}$/);
    expect(checkpoint).toContain(createHash('sha256').update(request).digest('hex'));
    const written = await readFile(join(folder.path, 'keyhole.yaml'));
    expect(start).toContain(`"configuration":"${createHash('sha256').update(written).digest('hex')}"`);
  });

  test('reopens the record on SIGHUP, and takes another place for it', async () => {
    await folder.configure(configuration());
    const served = await serve();
    const file = join(folder.path, 'keyhole-audit.ndjson');
    await served.encode(ALICE.email);
    await rename(file, `${file}.1`);
    await reload(served, TAKEN);
    await served.encode(ALICE.email);
    expect((await readFile(file, 'utf8')).trim().split('\n')).toHaveLength(2);
    await folder.configure(configuration({ audit: { file: 'other.ndjson' } }));
    await reload(served, /(read again[^]*){2}/);
    await served.encode(ALICE.email);
    expect((await readFile(join(folder.path, 'other.ndjson'), 'utf8')).trim().split('\n')).toHaveLength(2);
  });

  test.each(['listen', 'metrics.listen'])(
    'ends with 1 and a sentence where the port of %s is in use, and leaves the record of whoever uses it alone',
    async (setting) => {
      const record = join(folder.path, 'keyhole-audit.ndjson');
      await writeFile(record, 'of the server that runs\n');
      const other = createServer().listen(0, '127.0.0.1');
      await once(other, 'listening');
      const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
      await folder.configure(
        configuration(setting === 'listen' ? { listen: taken } : { metrics: { listen: taken } }),
      );
      const command = new Command(['serve'], { cwd: folder.path });
      commands.push(command);
      const { code, stdout, stderr } = await command.ended();
      other.close();
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(`${setting}: cannot listen on ${taken}: the port is in use\n`);
      expect(await readFile(record, 'utf8')).toBe('of the server that runs\n');
    },
  );

  test.skipIf(!existsSync('/dev/full'))('goes on, and ends with 0, where its log has no room', async () => {
    await folder.configure(configuration());
    const full = await open('/dev/full', 'w');
    const command = new Command(['serve'], { cwd: folder.path, stderr: full.fd });
    commands.push(command);
    const [line] = await command.says('stdout', /^\{"msg":"listening".*\}$/m);
    const { url } = JSON.parse(line) as { url: string };
    const ask = (): Promise<Response> => fetchTrusting(certificates.ca)(`${url}/decode`);
    for (let asked = 0; asked < 3; asked += 1) expect((await ask()).status).toBe(405);
    command.signal('SIGTERM');
    expect((await command.ended()).code).toBe(0);
    await full.close();
  });

  test('listens on loopback without a certificate, with a warning', async () => {
    await folder.configure({ ...configuration(), tls: undefined });
    const served = await serve();
    expect(served.url).toMatch(/^http:/);
    await served.command.says('stderr', /there is no tls/);
    expect((await stat(join(folder.path, 'keyhole-audit.ndjson'))).mode & 0o777).toBe(0o600);
  });
});
