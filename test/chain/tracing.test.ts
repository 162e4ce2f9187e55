// Traces of `keyhole serve` as a collector gets them: what a request waited for, and nothing of what was in it.
import { hash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFolder, GOOD, type Folder } from '../config/folder.js';
import { startOtlpCollector, type OtlpCollector } from '../parts/otlp-collector.js';
import { bodyOf, plainPayload } from '../server/running-server.js';
import { plantSecret } from '../streams.js';
import { startKeyhole, type Answer, type Keyhole } from './keyhole-process.js';
import { configure } from './system.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const UNSAMPLED = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = 'b7ad6b7169203331';
const NAMESPACE = 'orders.a1b2c';
const CREDENTIAL = plantSecret(`kh_${randomBytes(32).toString('base64url')}`);
const NAME = 'the-only-program';

const TEXT = plantSecret('what a trace must never hold');
/** W3C Trace Context §3.2: no trace, no span, no version, more than there is, letters that are none. */
const NO_PARENTS = [
  `00-${'0'.repeat(32)}-${PARENT}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `ff-${TRACE}-${PARENT}-01`,
  `00-${TRACE}-${PARENT}-01-more`,
  `00-${TRACE.toUpperCase()}-${PARENT}-01`,
  'nonsense',
];

let folder: Folder;

beforeAll(async () => {
  folder = await makeFolder();
  const roles = [`namespace:admin@${NAMESPACE}`];
  const expires = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
  const credential = { name: NAME, sha256: hash('sha256', CREDENTIAL), roles, expires };
  await configure(folder.path, { ...GOOD, access: { ...GOOD.access, credentials: [credential] } });
});
afterAll(() => folder.remove());

function start(env: Readonly<Record<string, string>>): Promise<Keyhole> {
  const listen = { KEYHOLE_LISTEN: '127.0.0.1:0' };
  return startKeyhole({ directory: folder.path, env: { ...listen, ...env }, ca: '' });
}

function encode(keyhole: Keyhole, traceparent: string): Promise<Answer> {
  return keyhole.ask('/encode', {
    token: CREDENTIAL,
    namespace: NAMESPACE,
    headers: { traceparent },
    body: bodyOf(plainPayload(TEXT)),
  });
}

describe('a collector is sent', () => {
  let collector: OtlpCollector;
  let keyhole: Keyhole;
  let answer: Answer;
  beforeAll(async () => {
    collector = await startOtlpCollector();
    keyhole = await start({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces`,
      OTEL_SERVICE_NAME: 'codec',
    });
    answer = await encode(keyhole, `00-${TRACE}-${PARENT}-01`);
    await encode(keyhole, `00-${UNSAMPLED}-${PARENT}-00`);
    for (const traceparent of NO_PARENTS)
      await keyhole.ask('/decode', { namespace: NAMESPACE, headers: { traceparent } });
    await keyhole.ask('/health/ready', { method: 'GET' });
    await keyhole.stop();
  });
  afterAll(() => collector.stop());

  test('a request in its caller’s trace, and what it waited for as spans of it', () => {
    expect(answer.status).toBe(200);
    const [request] = collector.spans.filter(({ name }) => name === 'encode');
    expect(request).toMatchObject({
      traceId: TRACE,
      parentSpanId: PARENT,
      kind: 2,
      attributes: {
        'http.request.method': 'POST',
        'http.route': 'encode',
        'http.response.status_code': 200,
        'keyhole.code': 'ok',
        'keyhole.request_id': answer.headers.get('x-request-id'),
      },
    });
    const steps = collector.spans.filter((span) => span.parentSpanId === request?.spanId);
    expect(steps.map(({ name, kind, traceId }) => [name, kind, traceId])).toEqual([
      ['verify token', 1, TRACE],
      ['look up roles', 1, TRACE],
      ['key service generate', 3, TRACE],
      ['commit record', 1, TRACE],
    ]);
    expect(steps[2]?.attributes).toEqual({ 'keyhole.key.provider': 'local', 'keyhole.code': 'ok' });
    for (const { startTimeUnixNano, endTimeUnixNano } of steps)
      expect(BigInt(startTimeUnixNano)).toBeLessThanOrEqual(BigInt(endTimeUnixNano));
    expect(collector.resources[0]).toMatchObject({ 'service.name': 'codec' });
  });

  test('neither payload nor credential, and no name of caller or namespace', () => {
    expect(collector.text()).toContain(TRACE);
    for (const text of [NAMESPACE, NAME, CREDENTIAL, TEXT]) expect(collector.text()).not.toContain(text);
  });

  test('nothing of a trace that its caller does not keep, and nothing of health', () => {
    expect(collector.spans.filter(({ traceId }) => traceId === UNSAMPLED)).toEqual([]);
    expect(collector.spans.map(({ name }) => name)).not.toContain('ready');
  });

  test('a trace of its own where the caller’s is none, with the code of a refusal', () => {
    const decodes = collector.spans.filter(({ name }) => name === 'decode');
    expect(new Set(decodes.map(({ traceId }) => traceId)).size).toBe(NO_PARENTS.length);
    for (const span of decodes) {
      expect([span.parentSpanId, span.traceId === TRACE]).toEqual([undefined, false]);
      expect(span.attributes).toMatchObject({
        'http.response.status_code': 401,
        'keyhole.code': 'token_missing',
      });
    }
    const own = new Set(decodes.map(({ spanId }) => spanId));
    const checks = collector.spans.filter(({ parentSpanId = '' }) => own.has(parentSpanId));
    expect(
      checks.map(({ name, status, attributes }) => [name, status.code, attributes['keyhole.code']]),
    ).toEqual(NO_PARENTS.map(() => ['verify token', 2, 'token_missing']));
  });

  test('what log lines name too', () => {
    const lines = keyhole.log().split('\n');
    const line = lines.find((text) => text.includes('"route":"encode"'));
    const requestId = answer.headers.get('x-request-id');
    expect(JSON.parse(line ?? '{}')).toMatchObject({ requestId, traceId: TRACE });
  });
});

test('a collector that hangs keeps neither an answer nor the end waiting', async () => {
  const collector = await startOtlpCollector();
  collector.isSilent = true;
  const keyhole = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  expect((await encode(keyhole, `00-${TRACE}-${PARENT}-01`)).status).toBe(200);
  await keyhole.stop();
  expect(collector.text()).toContain(TRACE);
  expect(keyhole.log()).toContain('"msg":"stopped"');
  await collector.stop();
});

test('OTEL_SDK_DISABLED leaves traces out', async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
  expect((await folder.config({ env })).tracing).toEqual({
    url: 'http://127.0.0.1:4318/v1/traces',
    serviceName: 'keyhole',
    sampler: 'parentbased_always_on',
    ratio: 1,
  });
  expect((await folder.config({ env: { ...env, OTEL_SDK_DISABLED: 'true' } })).tracing).toBeUndefined();
  expect((await folder.config()).tracing).toBeUndefined();
});

test.each([
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
    'OTEL_EXPORTER_OTLP_ENDPOINT: must be an http or https address',
  ],
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_SAMPLER: 'sometimes' },
    'OTEL_TRACES_SAMPLER: must be one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio',
  ],
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_SAMPLER_ARG: '2' },
    'OTEL_TRACES_SAMPLER_ARG: must be between 0 and 1',
  ],
])('%j is a mistake of the configuration', async (env, line) => {
  expect(await folder.problems({ env })).toEqual([line]);
});
