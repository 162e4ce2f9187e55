// What Prometheus reads: counts by route, code and outcome, and nothing a caller chose.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createCodecServer } from '../../../src/server/app.js';
import { createMetrics, type Levels, type Metrics } from '../../../src/server/telemetry/metrics.js';
import { keepStream, plantSecret } from '../../streams.js';
import { connectRaw, type RawConnection } from '../http/raw-connection.js';
import { bodyOf, ORDERS, plainPayload, startServer, type RunningServer } from '../running-server.js';
import { exercisedMetrics } from './exercised-metrics.js';

const NO_LEVELS: Levels = {
  ready: false,
  connections: 0,
  inFlight: 0,
  waiting: 0,
  heldBytes: 0,
  certificateExpiresMs: undefined,
};

let metrics: Metrics;
let running: RunningServer;
let url: string;

beforeEach(async () => {
  metrics = createMetrics();
  ({ url } = await metrics.listen({ host: '127.0.0.1', port: 0 }));
  running = await startServer({ metrics });
});

afterEach(async () => {
  await running.stop();
  await metrics.close();
});

async function page(): Promise<string> {
  const text = await (await fetch(url)).text();
  keepStream('server-metrics', text);
  return text;
}

test('requests, payloads, key-service calls and the age of decisions are counted', async () => {
  const sealed = await running.cipher.seal(plainPayload(plantSecret('never in a metric')), ORDERS);
  running.dataKeys.clear();
  const body = bodyOf(sealed, plainPayload('in the clear'));
  await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
  await running.ask('/decode', { as: 'reader', namespace: ORDERS, body });
  await running.ask('/some-path-a-stranger-made-up', { namespace: ORDERS });
  await expect
    .poll(page)
    .toMatch(/^keyhole_requests_total\{route="other",status="404",code="not_found"\S*\} 1/m);
  const text = await page();
  expect(text).toMatch(/^keyhole_requests_total\{route="decode",status="200",code="ok"\S*\} 1/m);
  expect(text).toMatch(/^keyhole_requests_total\{route="decode",status="403",code="role_missing"\S*\} 1/m);
  expect(text).toMatch(/^keyhole_payloads_total\{format="keyhole\/v1",outcome="opened"\S*\} 1/m);
  expect(text).toMatch(/^keyhole_payloads_total\{format="any",outcome="passed"\S*\} 1/m);
  expect(text).toMatch(/^keyhole_key_calls_total\{provider="fake",operation="unwrap",outcome="ok"\S*\} 1/m);
  expect(text).toMatch(/^keyhole_request_duration_seconds_bucket/m);
  expect(text).toMatch(/^keyhole_decision_age_seconds_count\S* 2/m);
  expect(text).not.toMatch(/made-up|a1b2c|example\.com/);
});

test('counts go on where a reload asks for the observer again', async () => {
  metrics.observer()({ type: 'key_cache', hit: true });
  metrics.observer()({ type: 'key_cache', hit: true });
  expect(await page()).toMatch(/^keyhole_key_cache_total\{hit="true"\S*\} 2/m);
});

test('orchestrators are told here too whether the server lives and is ready', async () => {
  const health = async (path: string): Promise<unknown[]> => {
    const answer = await fetch(new URL(path, url));
    return [answer.status, await answer.json()];
  };
  expect(await health('/health/live')).toEqual([200, { status: 'ok' }]);
  expect(await health('/health/ready')).toEqual([200, { status: 'ok' }]);
  await running.stop();
  expect(await health('/health/live')).toEqual([200, { status: 'ok' }]);
  expect(await health('/health/ready')).toEqual([503, { status: 'not ready' }]);
  expect((await fetch(new URL('/health/ready', url), { method: 'HEAD' })).status).toBe(503);
});

test('a server is ready once its port is open: not before it is made, nor before it listens', async () => {
  const early = createMetrics();
  const { url: earlyUrl } = await early.listen({ host: '127.0.0.1', port: 0 });
  const ready = async (): Promise<number> => (await fetch(new URL('/health/ready', earlyUrl))).status;
  expect(await ready()).toBe(503);
  const server = createCodecServer({ ...running.parts, metrics: early });
  expect(await ready()).toBe(503);
  await server.listen();
  expect(await ready()).toBe(200);
  await server.close();
  await early.close();
});

test('those who ask at once get one page, made once', async () => {
  const asked = createMetrics();
  const { port } = await asked.listen({ host: '127.0.0.1', port: 0 });
  const ready = vi.fn(() => true);
  asked.levels(() => ({ ...NO_LEVELS, ready: ready() }));
  const scraper = await connectRaw(port);
  const scrape = async (count: number, answers: number): Promise<number> => {
    ready.mockClear();
    scraper.send('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(count));
    await scraper.until((text) => (text.match(/^keyhole_ready\S* 1$/gm) ?? []).length === answers);
    return ready.mock.calls.length;
  };
  expect(await scrape(20, 20)).toBe(await scrape(1, 21));
  scraper.end();
  await asked.close();
});

test('who pipelines there more than 32 requests is cut off', async () => {
  const flood = await connectRaw(Number(new URL(url).port));
  flood.send('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(33));
  expect(await flood.closed()).toBe('');
  expect(await page()).toContain('keyhole_ready');
});

test('of more than 64 connections there the one goes that has asked nothing for longest', async () => {
  const idle: RawConnection[] = [];
  for (let i = 0; i < 65; i += 1) idle.push(await connectRaw(Number(new URL(url).port)));
  expect(await page()).toContain('keyhole_ready');
  for (const longest of idle.slice(0, 2)) expect(await longest.closed()).toBe('');
  expect(idle.slice(2).filter(({ socket }) => socket.destroyed)).toEqual([]);
  for (const one of idle) one.end();
});

test('nothing else is answered', async () => {
  for (const path of ['/metrics', '/health/live'])
    expect((await fetch(new URL(path, url), { method: 'POST' })).status).toBe(404);
  for (const path of ['/', '/health', '/decode']) expect((await fetch(new URL(path, url))).status).toBe(404);
});

test('a port that is taken is told', async () => {
  const port = Number(new URL(url).port);
  await expect(createMetrics().listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});

test('how things stand is told: requests in flight and held bytes, connections, readiness', async () => {
  let open: () => void = () => undefined;
  running.authorizer.gate = new Promise((resolve) => (open = resolve));
  const asking = running.ask('/decode', { as: 'admin', namespace: ORDERS, body: '{"payloads":[]}' });
  await expect.poll(page).toMatch(/^keyhole_requests_in_flight\S* 1$/m);
  const busy = await page();
  expect(busy).toMatch(/^keyhole_connections\S* 1$/m);
  expect(busy).toMatch(/^keyhole_ready\S* 1$/m);
  open();
  await asking;
  running.authenticator.isReady = false;
  await expect.poll(page).toMatch(/^keyhole_connections\S* 0$/m);
  const idle = await page();
  expect(idle).toMatch(/^keyhole_requests_in_flight\S* 0$/m);
  expect(idle).toMatch(/^keyhole_ready\S* 0$/m);
  expect(idle).not.toContain('certificate');
});

test('bytes of bodies are told while they are held', async () => {
  let open: () => void = () => undefined;
  const body = bodyOf(plainPayload('x'));
  running.audit.gate = new Promise((resolve) => (open = resolve));
  const asking = running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
  await expect.poll(page).toMatch(new RegExp(`^keyhole_body_bytes_held\\S* ${body.length}$`, 'm'));
  open();
  await asking;
  await expect.poll(page).toMatch(/^keyhole_body_bytes_held\S* 0$/m);
});

test('how long a record took to be durable is told', async () => {
  let open: () => void = () => undefined;
  running.audit.gate = new Promise((resolve) => (open = resolve));
  const asking = running.ask('/decode', { as: 'reader', namespace: ORDERS });
  await expect.poll(page).toMatch(/^keyhole_decision_age_seconds_count\S* 1$/m);
  expect(await page()).not.toContain('keyhole_audit_duration_seconds');
  open();
  await asking;
  expect(await page()).toMatch(/^keyhole_audit_duration_seconds_count\S* 1$/m);
});

test('a blocked event loop is told as late timers', async () => {
  const longestDelay = async (): Promise<number> => {
    const until = performance.now() + 300;
    while (performance.now() < until);
    const pattern = /^keyhole_event_loop_delay_seconds\{quantile="1"\S*\} (\S+)$/m;
    return Number(pattern.exec(await page())?.[1]);
  };
  await expect.poll(longestDelay).toBeGreaterThan(0.25);
});

test('every metric stands in the document with its labels, and none that is not told', async () => {
  const { types, samples } = await exercisedMetrics();
  const told = [...types].map(([name, type]) => {
    const series = type === 'histogram' ? `${name}_count` : name;
    const labels = Object.keys(samples.get(series)?.[0] ?? {}).filter((label) => label !== 'otel_scope_name');
    return [name, type, labels.sort().join(' ')].join(' | ');
  });
  const document = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const rows = [...document.matchAll(/^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|/gm)];
  const documented = rows.map(([, name = '', type = '', labels = '']) =>
    [
      name,
      type,
      [...labels.matchAll(/\w+/g)]
        .map(([label]) => label)
        .sort()
        .join(' '),
    ].join(' | '),
  );
  expect(documented.sort()).toEqual(told.sort());
});
