// The metrics page of a codec server over TLS on which everything that is counted has happened once.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from '../../../src/dev/certificates.js';
import { createMetrics } from '../../../src/server/telemetry/metrics.js';
import { keepStream, plantSecret } from '../../streams.js';
import { bodyOf, ORDERS, plainPayload, startServer } from '../running-server.js';

/** Samples by the name of the series, which ends in `_bucket`, `_sum` or `_count` for a histogram. */
export type Samples = ReadonlyMap<string, readonly Readonly<Record<string, string>>[]>;

export interface MetricsPage {
  readonly text: string;
  /** Kind of each metric by its name, as `# TYPE` lines tell it. */
  readonly types: ReadonlyMap<string, string>;
  /** Labels of each sample. */
  readonly samples: Samples;
}

export async function exercisedMetrics(): Promise<MetricsPage> {
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-metrics-'));
  const { ca, cert, key } = await makeCertificates();
  const tls = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  await writeFile(tls.cert, cert);
  await writeFile(tls.key, key, { mode: 0o600 });
  const metrics = createMetrics('1.2.3');
  const { url } = await metrics.listen({ host: '127.0.0.1', port: 0 });
  const running = await startServer({ metrics, options: { tls }, ca });
  const sealed = await running.cipher.seal(plainPayload(plantSecret('never in a metric')), ORDERS);
  running.dataKeys.clear();
  const body = bodyOf(sealed, plainPayload('in the clear'));
  await running.ask('/decode', { as: 'admin', namespace: ORDERS, body });
  await running.ask('/decode', { as: 'reader', namespace: ORDERS, body });
  metrics.observer()({ type: 'key_shared', key: 'a key', namespaces: [ORDERS, ORDERS] });
  metrics.auditCheckpoint(7);
  metrics.auditCopied('delivered', 3);
  const text = await (await fetch(url)).text();
  keepStream('server-metrics', text);
  await running.stop();
  await metrics.close();
  await rm(directory, { recursive: true });
  return { text, types: typesIn(text), samples: samplesIn(text) };
}

function typesIn(text: string): ReadonlyMap<string, string> {
  const lines = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Map(lines.map(([, name = '', type = '']) => [name, type]));
}

function samplesIn(text: string): Samples {
  const samples = new Map<string, Readonly<Record<string, string>>[]>();
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+/gm)) {
    const pairs = [...labels.matchAll(/([a-z_]+)="([^"]*)"/g)];
    const one = Object.fromEntries(pairs.map(([, label = '', value = '']) => [label, value]));
    samples.set(name, [...(samples.get(name) ?? []), one]);
  }
  return samples;
}
