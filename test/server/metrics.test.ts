// What Prometheus reads: counts by route, code and outcome, and nothing a caller chose.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMetrics, type Metrics } from '../../src/server/metrics.js';
import { keepStream, plantSecret } from '../streams.js';
import { bodyOf, ORDERS, plainPayload, startServer, type RunningServer } from './running-server.js';

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

test('only GET /metrics is answered', async () => {
  expect((await fetch(url, { method: 'POST' })).status).toBe(404);
  expect((await fetch(url.replace('/metrics', '/'))).status).toBe(404);
});

test('a port that is taken is told', async () => {
  const port = Number(new URL(url).port);
  await expect(createMetrics().listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});
