// What the codec server counts, and the page where Prometheus reads it.
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Meter } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { Observer } from '../../observer.js';
import { createMetricsListener } from './metrics-listener.js';
import { measureProcess } from './process-metrics.js';
import { Tally } from './tally.js';

/** One request that was answered. */
export interface RequestFigures {
  /** `decode`, `encode`, `download`, `live`, `ready`, or `other`. */
  readonly route: string;
  readonly status: number;
  /** `ok`, or the error code. */
  readonly code: string;
  readonly durationMs: number;
}

/** How things stand with a server at this moment. */
export interface Levels {
  readonly ready: boolean;
  readonly connections: number;
  /** Requests that have a place, and that wait for one. */
  readonly inFlight: number;
  readonly waiting: number;
  /** Bytes of bodies in memory. */
  readonly heldBytes: number;
  /** Since the epoch; `undefined` without TLS. */
  readonly certificateExpiresMs: number | undefined;
}

/** Counters of one process; each starts at 0. No label ever holds what a caller chose freely. */
export interface Metrics {
  /** For `PayloadCipher`, `DataKeys` and `KeyCalls`: payloads by format and outcome, key-service calls, cache. */
  observer(): Observer;
  request(figures: RequestFigures): void;
  /** Payloads that came without a mark of ours, or that the policy kept closed. */
  payloads(outcome: 'passed' | 'refused', count: number): void;
  /** How old what a decision rested on was. */
  decisionAge(ageMs: number): void;
  /** How long a record took to be durable. */
  recorded(durationMs: number): void;
  /** Called whenever Prometheus or an orchestrator asks; one server a process. */
  levels(read: () => Levels): void;
  /** A line of the record was told as a checkpoint: its place in its chain, and that it was now. */
  auditCheckpoint(sequence: number): void;
  /** Lines of the record that its webhook got, or never will. */
  auditCopied(outcome: 'delivered' | 'dropped', count: number): void;
  /** Serves `GET /metrics` and `/health/*` on a listener of its own; port 0 takes a free one. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ url: string; port: number }>;
  close(): Promise<void>;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const AGES = [1, 5, 15, 30, 60, 120, 300, 900];

/**
 * What an alert wakes somebody for. Prometheus sees no increase in a series that begins with its first event, so these
 * are told before there is one.
 */
const TOLD_AT_ONCE = ['decode', 'encode', 'download'].flatMap((route) => [
  { route, status: '500', code: 'internal' },
  { route, status: '503', code: 'audit_unavailable' },
  { route, status: '503', code: 'authz_unavailable' },
]);

/** @param version - of the package. */
export function createMetrics(version = 'unknown'): Metrics {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const provider = new MeterProvider({ readers: [exporter] });
  const meter = provider.getMeter('temporal-keyhole');
  const endMeasuring = measureProcess(meter);
  meter
    .createObservableGauge('keyhole_build_info', { description: 'always 1; what runs is in the labels' })
    .addCallback((result) => {
      result.observe(1, { version, node: process.versions.node });
    });
  let server: Server | undefined;
  let read: (() => Levels) | undefined;
  const payloads: PayloadTally = new Tally(meter, 'keyhole_payloads', 'payloads by format and outcome', [
    'format',
    'outcome',
  ]);
  const observer = payloadObserver(meter, payloads);
  return {
    ...requestMetrics(meter),
    levels: (levels) => {
      read = levels;
      measureLevels(meter, levels);
    },
    observer: () => observer,
    payloads: (outcome, count) => {
      if (count > 0) payloads.add(count, 'any', outcome);
    },
    listen: async ({ host, port }) => {
      server = createMetricsListener({ page: pageOf(exporter), isReady: () => read?.().ready === true });
      server.listen(port, host);
      await once(server, 'listening');
      const bound = (server.address() as AddressInfo).port;
      return { port: bound, url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics` };
    },
    close: async () => {
      if (server?.listening === true) {
        server.close();
        server.closeAllConnections();
      }
      endMeasuring();
      await provider.shutdown();
    },
  };
}

/** Makes one page at a time: whoever asks meanwhile gets the same. */
function pageOf(exporter: PrometheusExporter): () => Promise<string> {
  const serializer = new PrometheusSerializer(undefined, false, undefined, true); // without `target_info`
  let inMaking: Promise<string> | undefined;
  const make = async (): Promise<string> => {
    try {
      return serializer.serialize((await exporter.collect()).resourceMetrics);
    } finally {
      inMaking = undefined;
    }
  };
  return () => (inMaking ??= make());
}

function requestMetrics(
  meter: Meter,
): Pick<Metrics, 'request' | 'decisionAge' | 'recorded' | 'auditCheckpoint' | 'auditCopied'> {
  const labels = ['route', 'status', 'code'] as const;
  const requests = new Tally(meter, 'keyhole_requests', 'requests answered', labels);
  for (const { route, status, code } of TOLD_AT_ONCE) requests.add(0, route, status, code);
  const duration = meter.createHistogram('keyhole_request_duration_seconds', {
    description: 'from the request line to the end of the answer',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const age = meter.createHistogram('keyhole_decision_age_seconds', {
    description: 'age of what a decision rested on',
    advice: { explicitBucketBoundaries: AGES },
  });
  const recorded = meter.createHistogram('keyhole_audit_duration_seconds', {
    description: 'from the end of a request to its record on disk',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const sequence = meter.createGauge('keyhole_audit_checkpoint_sequence', {
    description: 'place in its chain of the last checkpoint of the record',
  });
  const checkpointTime = meter.createGauge('keyhole_audit_checkpoint_time_seconds', {
    description: 'when the last checkpoint of the record was, since the epoch',
  });
  const copied = meter.createCounter('keyhole_audit_webhook_lines', {
    description: 'lines of the record that its webhook got, or never will',
  });
  return {
    auditCopied: (outcome, count) => {
      copied.add(count, { outcome });
    },
    auditCheckpoint: (at) => {
      sequence.record(at);
      checkpointTime.record(Math.round(Date.now() / 1000));
    },
    request: ({ route, status, code, durationMs }) => {
      requests.add(1, route, String(status), code);
      duration.record(durationMs / 1000, { route });
    },
    decisionAge: (ageMs) => {
      age.record(ageMs / 1000);
    },
    recorded: (durationMs) => {
      recorded.record(durationMs / 1000);
    },
  };
}

function measureLevels(meter: Meter, read: () => Levels): void {
  const gauge = (name: string, description: string, of: (levels: Levels) => number | undefined): void => {
    meter.createObservableGauge(name, { description }).addCallback((result) => {
      const level = of(read());
      if (level !== undefined) result.observe(level);
    });
  };
  gauge('keyhole_ready', 'whether /health/ready answers 200', ({ ready }) => (ready ? 1 : 0));
  gauge('keyhole_connections', 'open connections', ({ connections }) => connections);
  gauge('keyhole_requests_in_flight', 'requests that have a place', ({ inFlight }) => inFlight);
  gauge('keyhole_requests_waiting', 'requests that wait for a place', ({ waiting }) => waiting);
  gauge('keyhole_body_bytes_held', 'bytes of bodies in memory', ({ heldBytes }) => heldBytes);
  gauge(
    'keyhole_certificate_expiry_time_seconds',
    'end of the certificate, since the epoch',
    ({ certificateExpiresMs: at }) => (at === undefined ? undefined : at / 1000),
  );
}

type PayloadTally = Tally<readonly ['format', 'outcome']>;

function payloadObserver(meter: Meter, payloads: PayloadTally): Observer {
  const calls = meter.createCounter('keyhole_key_calls', { description: 'calls to key services' });
  const duration = meter.createHistogram('keyhole_key_call_duration_seconds', {
    description: 'duration of a call to a key service',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const shared = meter.createCounter('keyhole_keys_shared', {
    description: 'wrapping keys that were seen to serve two namespaces',
  });
  shared.add(0);
  const cache = new Tally(meter, 'keyhole_key_cache', 'data keys looked up for opening', ['hit'] as const);
  return (event) => {
    switch (event.type) {
      case 'sealed':
      case 'opened':
        payloads.add(1, event.format, event.type);
        return;
      case 'passed':
        payloads.add(1, 'none', 'passed');
        return;
      case 'failed':
        payloads.add(1, event.format ?? 'unknown', `${event.during}_${event.code}`);
        return;
      case 'key_call':
        calls.add(1, { provider: event.provider, operation: event.operation, outcome: event.outcome });
        duration.record(event.durationMs / 1000, { provider: event.provider, operation: event.operation });
        return;
      case 'key_cache':
        cache.add(1, event.hit ? 'true' : 'false');
        return;
      case 'key_shared':
        shared.add(1);
        return;
      case 'opened_foreign':
        return;
    }
  };
}
