// A server starts, is given new parts while it runs, and stops without losing what is in flight.
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { createCodecServer } from '../../src/server/app.js';
import { mayComeInClear, trustedAddresses } from '../../src/server/http/client-address.js';
import { loadKeyPair } from '../../src/server/http/tls.js';
import { connectRaw, head, statusesOf } from './http/raw-connection.js';
import { makeWeakCertificate } from './http/weak-certificate.js';
import {
  bodyOf,
  ORDERS,
  plainPayload,
  serverOptions,
  startServer,
  TableAuthorizer,
  TOKENS,
  UI,
  type RunningServer,
} from './running-server.js';

let running: RunningServer | undefined;

afterEach(async () => {
  await running?.stop();
  running = undefined;
});

const HEADERS = {
  Host: 'localhost',
  'Content-Type': 'application/json',
  'X-Namespace': ORDERS,
  Authorization: `Bearer ${TOKENS.admin}`,
};

describe('a reload', () => {
  test('swaps everything for new requests; one in flight ends with what it began with', async () => {
    running = await startServer();
    const { server, parts, port, ask } = running;
    const early = await connectRaw(port);
    early.send(head('/decode', { ...HEADERS, 'Content-Length': '2' }));
    await expect.poll(() => running?.authorizer.asked.length).toBe(1);
    const closed = new TableAuthorizer();
    closed.closed.add(ORDERS);
    server.reload({
      ...parts,
      authorizer: closed,
      options: { ...parts.options, cors: { origins: [], credentials: true } },
    });
    expect((await ask('/decode', { as: 'admin', namespace: ORDERS })).status).toBe(403);
    expect((await ask('/decode', { as: 'admin', namespace: ORDERS, headers: { origin: UI } })).code()).toBe(
      'origin_refused',
    );
    early.send('{}');
    expect(statusesOf(await early.until((text) => text.includes('"payloads"')))).toEqual([200]);
    early.end();
  });

  test('with options that cannot be right is refused, and the old ones stay', async () => {
    running = await startServer();
    const { server, parts, ask } = running;
    expect(() => {
      server.reload({ ...parts, options: { ...parts.options, trustedProxies: ['x'] } });
    }).toThrow(TypeError);
    expect((await ask('/decode', { as: 'admin', namespace: ORDERS })).status).toBe(200);
  });
});

describe('stopping', () => {
  test('is not ready at once, still accepts for the delay, says Connection: close, ends what is in flight', async () => {
    running = await startServer({ limits: { shutdownDelaySeconds: 600 } });
    const { server, port, ask } = running;
    const idle = await connectRaw(port);
    const inFlight = await connectRaw(port);
    inFlight.send(head('/decode', { ...HEADERS, 'Content-Length': '2' }));
    await expect.poll(() => running?.authorizer.asked.length).toBe(1);
    const drained = server.drain();
    expect((await ask('/health/ready', { method: 'GET' })).status).toBe(503);
    expect((await ask('/health/live', { method: 'GET' })).status).toBe(200);
    const late = await connectRaw(port);
    late.send(head('/decode', { ...HEADERS, 'Content-Length': '2' }) + '{}');
    expect(await late.closed()).toMatch(/connection: close[^]*"payloads"/i);
    const closed = server.close();
    await expect(connectRaw(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await idle.closed()).toBe('');
    inFlight.send('{}');
    expect(statusesOf(await inFlight.closed())).toEqual([200]);
    await Promise.all([drained, closed]);
  });

  test('leaves an answer whole that its caller is still reading', async () => {
    running = await startServer();
    const { server, port } = running;
    const body = bodyOf(...['x', 'y', 'z'].map((text) => plainPayload(text.repeat(1_900_000))));
    const reader = await connectRaw(port);
    reader.send(head('/decode', { ...HEADERS, 'Content-Length': String(body.length) }) + body);
    await reader.until((text) => text.includes('\r\n\r\n'));
    reader.socket.pause(); // more is on its way than the sockets' buffers take
    const closed = server.close();
    await expect(connectRaw(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    reader.socket.resume();
    const [, answer] = (await reader.closed()).split('\r\n\r\n');
    expect(answer?.length).toBe(body.length);
    await closed;
  });

  test('waits for the record of a request whose caller went away', async () => {
    running = await startServer();
    const { server, port, audit, authorizer } = running;
    let open = (): void => undefined;
    audit.gate = new Promise((resolve) => (open = resolve));
    const caller = await connectRaw(port);
    caller.send(head('/decode', { ...HEADERS, 'Content-Length': '2' }));
    await expect.poll(() => authorizer.asked.length).toBe(1);
    let isOver = false;
    const closed = server.close().then(() => (isOver = true));
    caller.end();
    await expect.poll(() => running?.log()).toContain('"aborted":true');
    await new Promise((resolve) => setImmediate(resolve));
    expect([isOver, audit.events.length]).toEqual([false, 0]);
    open();
    await closed;
    expect(audit.events).toMatchObject([{ outcome: 'caller_gone' }]);
  });

  test('twice is stopping once, and before listening is nothing', async () => {
    running = await startServer();
    await Promise.all([running.server.close(), running.server.drain(), running.server.close()]);
    await createCodecServer(running.parts).close();
  });

  test('a port that is taken is told', async () => {
    running = await startServer();
    const { parts, port } = running;
    const options = serverOptions({ options: { listen: { host: '127.0.0.1', port } } });
    await expect(createCodecServer({ ...parts, options }).listen()).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});

describe('behind a proxy', () => {
  const from = async (trustedProxies: string[], forwarded: string): Promise<string | undefined> => {
    running = await startServer({ options: { trustedProxies } });
    await running.ask('/decode', {
      as: 'admin',
      namespace: ORDERS,
      headers: { 'x-forwarded-for': forwarded },
    });
    const address = running.audit.events[0]?.who.address;
    await running.stop();
    return address;
  };

  test('the address on record is the last hop that is not trusted', async () => {
    expect(await from([], '192.0.2.1')).toBe('127.0.0.1');
    expect(await from(['127.0.0.0/8'], '192.0.2.1')).toBe('192.0.2.1');
    expect(await from(['127.0.0.0/8', '10.0.0.0/8'], '198.51.100.9, 192.0.2.1, 10.1.2.3')).toBe('192.0.2.1');
    expect(await from(['127.0.0.1'], 'nonsense')).toBe('127.0.0.1');
    expect(await from(['127.0.0.1', '::1/128'], '2001:db8::1')).toBe('2001:db8::1');
  });
});

describe('without TLS', () => {
  const outer = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

  test.skipIf(outer === undefined)(
    'a request that comes over no proxy of ours is closed unanswered',
    async () => {
      const host = outer ?? '';
      const listen = { host, port: 0 };
      running = await startServer({ options: { listen, trustedProxies: ['203.0.113.0/24'] } });
      const { ask, log, audit } = running;
      await expect(ask('/decode', { as: 'admin', namespace: ORDERS })).rejects.toMatchObject({
        code: 'ECONNRESET',
      });
      await expect.poll(log).toContain('"code":"not_encrypted"');
      expect(running.authenticator.asked).toBe(0);
      expect(audit.events).toEqual([]);
      expect((await ask('/health/ready', { method: 'GET' })).status).toBe(200);
      await running.stop();
      running = await startServer({ options: { listen, trustedProxies: [host] } });
      expect((await running.ask('/decode', { as: 'admin', namespace: ORDERS })).status).toBe(200);
    },
  );

  test.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['10.1.2.3', true],
    ['::ffff:10.1.2.3', true],
    ['192.168.0.1', false],
    ['::ffff:192.168.0.1', false],
    ['::2', false],
    ['', false],
    [undefined, false],
  ])('from %s, with 10.0.0.0/8 trusted: %s', (address, may) => {
    expect(mayComeInClear(address, trustedAddresses(['10.0.0.0/8']))).toBe(may);
  });
});

describe('TLS', () => {
  let directory: string;
  let certificates: Certificates;
  let tls: { cert: string; key: string };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyhole-tls-'));
    tls = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
    certificates = await makeCertificates();
    await write(certificates);
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  /** As a deployment would: each file appears whole. */
  async function write({ cert, key }: Pick<Certificates, 'cert' | 'key'>, mode = 0o600): Promise<void> {
    await mkdir(directory, { recursive: true });
    await writeFile(`${tls.cert}.new`, cert);
    await writeFile(`${tls.key}.new`, key, { mode });
    await rename(`${tls.cert}.new`, tls.cert);
    await rename(`${tls.key}.new`, tls.key);
  }

  async function handshake(port: number, options: object): Promise<TLSSocket> {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ...options });
    await once(socket, 'secureConnect');
    return socket;
  }

  async function serialOf(port: number, ca: string): Promise<string> {
    const socket = await handshake(port, { ca });
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  }

  test('serves HTTPS from 1.2 on, and nothing to someone who speaks plain HTTP', async () => {
    running = await startServer({ options: { tls }, ca: certificates.ca });
    expect(running.url).toMatch(/^https:/);
    expect((await running.ask('/decode', { as: 'admin', namespace: ORDERS })).status).toBe(200);
    await expect(handshake(running.port, { ca: certificates.ca, maxVersion: 'TLSv1.1' })).rejects.toThrow();
    const plain = await connectRaw(running.port);
    plain.send('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(statusesOf(await plain.closed())).toEqual([]);
    expect((await running.ask('/health/live', { method: 'GET' })).status).toBe(200);
  });

  test('a new pair in the directory is served without a restart; a bad one is told, and the old one stays', async () => {
    running = await startServer({ options: { tls }, ca: certificates.ca });
    const { port, log } = running;
    const first = await serialOf(port, certificates.ca);
    const next = await makeCertificates();
    await write(next);
    await expect.poll(() => serialOf(port, next.ca).catch(() => first), { timeout: 5_000 }).not.toBe(first);
    await write({ cert: certificates.cert, key: next.key });
    await expect.poll(log, { timeout: 5_000 }).toContain('the old ones stay');
    await expect(running.server.reloadTls()).rejects.toThrow('is not that of the certificate');
    await serialOf(port, next.ca);
  });

  test.each<[string, string, () => Promise<[Pick<Certificates, 'cert' | 'key'>, mode?: number]>]>([
    ['has expired', 'has expired', async () => [await makeCertificates({ now: () => 0 })]],
    ['is not valid yet', 'is not valid yet', async () => [await makeCertificates({ now: inTwoHours })]],
    ['has a key too small', 'key is too small', async () => [await makeWeakCertificate()]],
    ['has a key others can read', 'can be read by others', async () => [await makeCertificates(), 0o644]],
  ])(
    'a new pair that %s is told and not served, as it would be refused at the start',
    async (_, said, made) => {
      running = await startServer({ options: { tls }, ca: certificates.ca });
      const { port, log } = running;
      const first = await serialOf(port, certificates.ca);
      await write(...(await made()));
      await expect.poll(log, { timeout: 5_000 }).toContain('the old ones stay');
      expect(log()).toContain(said);
      expect(await serialOf(port, certificates.ca)).toBe(first);
      await expect(startServer({ options: { tls } })).rejects.toThrow(said);
    },
  );

  test('whose directory was deleted, and made again later, is read again', async () => {
    running = await startServer({ options: { tls }, ca: certificates.ca });
    const { port, log } = running;
    const first = await serialOf(port, certificates.ca);
    await rm(directory, { recursive: true });
    await expect.poll(log, { timeout: 5_000 }).toContain('the old ones stay');
    expect(await serialOf(port, certificates.ca)).toBe(first);
    const next = await makeCertificates();
    await write(next);
    await expect.poll(() => serialOf(port, next.ca).catch(() => first), { timeout: 5_000 }).not.toBe(first);
  });

  test('behind a link that is swapped, as Kubernetes does, is read again', async () => {
    const [link, next] = [join(directory, '..data'), await makeCertificates()];
    const pair = { cert: join(link, 'tls.crt'), key: join(link, 'tls.key') };
    for (const [name, { cert, key }] of Object.entries({ '..1': certificates, '..2': next })) {
      await mkdir(join(directory, name));
      await writeFile(join(directory, name, 'tls.crt'), cert);
      await writeFile(join(directory, name, 'tls.key'), key, { mode: 0o440 });
    }
    await symlink('..1', link);
    running = await startServer({ options: { tls: pair }, ca: certificates.ca });
    const { port } = running;
    const first = await serialOf(port, certificates.ca);
    await symlink('..2', `${link}_tmp`);
    await rename(`${link}_tmp`, link);
    await expect.poll(() => serialOf(port, next.ca).catch(() => first), { timeout: 5_000 }).not.toBe(first);
  });

  test('that is about to expire is warned of', async () => {
    await write(await makeCertificates({ days: 10 }));
    running = await startServer({ options: { tls } });
    expect(running.log()).toContain('the certificate expires soon');
  });

  test('files that are no pair are refused', async () => {
    const other = await makeCertificates();
    await write({ cert: certificates.cert, key: other.key });
    await expect(loadKeyPair(tls, Date.now())).rejects.toThrow('is not that of the certificate');
    await write({ cert: 'no PEM', key: other.key });
    await expect(loadKeyPair(tls, Date.now())).rejects.toThrow();
    await expect(
      startServer({ options: { tls: { ...tls, cert: join(directory, 'missing') } } }),
    ).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

function inTwoHours(): number {
  return Date.now() + 7_200_000;
}
