// What deploy/ holds fits the server as it is: metric names, labels, codes, paths, and a configuration without mistakes.
import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { makeCertificates } from '../../src/dev/certificates.js';
import { DRAIN_TIMEOUT_MS } from '../../src/server/limits.js';
import { createMetrics } from '../../src/server/telemetry/metrics.js';
import { makeFolder, type Folder } from '../config/folder.js';
import { describeWithParts } from '../parts/available.js';
import { exercisedMetrics, type MetricsPage } from '../server/telemetry/exercised-metrics.js';
import { keepStream } from '../streams.js';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const ROOT = dirname(DEPLOY);
const read = (path: string): Promise<string> => readFile(join(DEPLOY, path), 'utf8');

/** Where a query of Prometheus is, and what it says. */
interface Query {
  readonly from: string;
  readonly text: string;
}

/** Prometheus makes these itself. */
const OF_PROMETHEUS = { metrics: ['up'], labels: ['instance', 'job', 'le'] };

describe('each metric and label that is asked for is one that a server tells:', () => {
  let page: MetricsPage;
  let queries: readonly Query[];
  beforeAll(async () => {
    page = await exercisedMetrics();
    queries = [...(await alertQueries()), ...(await dashboardQueries())];
  });

  test('metrics', () => {
    for (const { from, text } of queries) {
      const named = metricsIn(text);
      expect(named, from).not.toEqual([]);
      for (const name of named)
        expect([...page.samples.keys(), ...OF_PROMETHEUS.metrics], from).toContain(name);
    }
  });

  test('labels, in what selects and in what sums up', () => {
    for (const { from, text } of queries) {
      const told = metricsIn(text).flatMap((name) => Object.keys(page.samples.get(name)?.[0] ?? {}));
      for (const label of labelsIn(text)) expect([...told, ...OF_PROMETHEUS.labels], from).toContain(label);
    }
  });

  test('error codes and routes', async () => {
    const documented = await readFile(join(ROOT, 'docs/errors.md'), 'utf8');
    const values = queries.flatMap(({ from, text }) => [
      ...[...text.matchAll(/(?:code|outcome)=~?"([a-z_|]+)"/g)].flatMap(([, alternatives = '']) =>
        alternatives.split('|').map((value) => ({ from, value })),
      ),
    ]);
    expect(values).not.toEqual([]);
    const errors = await readFile(join(ROOT, 'src/errors.ts'), 'utf8');
    for (const { from, value } of values) {
      expect(errors, from).toContain(`'${value}'`);
      if (!value.startsWith('key_')) expect(documented, from).toContain(`\`${value}\``);
    }
  });
});

test('what an alert counts the first of is told before there is one: an increase needs a series that is there', async () => {
  const metrics = createMetrics();
  const { url } = await metrics.listen({ host: '127.0.0.1', port: 0 });
  const page = await (await fetch(url)).text();
  keepStream('server-metrics', page);
  await metrics.close();
  const told = new Set(
    [...page.matchAll(/^(keyhole_\w+)(?:\{(.*)\})? 0$/gm)].flatMap(([, name = '', labels = '']) => [
      name,
      `${name} ${/code="(\w+)"/.exec(labels)?.[1] ?? ''}`,
    ]),
  );
  const counted = (await alertQueries()).flatMap(({ text }) =>
    [...text.matchAll(/increase\((\w+)(?:\{code="(\w+)"\})?\[/g)].map(([, name = '', code]) =>
      code === undefined ? name : `${name} ${code}`,
    ),
  );
  expect(counted).toContain('keyhole_requests_total audit_unavailable');
  for (const series of counted) expect([...told]).toContain(series);
});

describeWithParts(['promtool'], 'to Prometheus', ({ promtool }) => {
  const rules = (...args: string[]): Promise<unknown> =>
    promisify(execFile)(promtool, args, { cwd: join(DEPLOY, 'prometheus') }); // rejects with what it says

  test('the alerts are rules', async () => {
    await expect(rules('check', 'rules', 'keyhole.rules.yaml')).resolves.toBeDefined();
  });

  test('a key that goes on being refused is one from the first refusal on, one refusal alone is none', async () => {
    await expect(rules('test', 'rules', 'keyhole.rules.test.yaml')).resolves.toBeDefined();
  });
});

test('every alert says what is the matter and how bad that is', async () => {
  for (const { alert, labels, annotations } of await alerts()) {
    expect(alert).toMatch(/^Keyhole[A-Z]\w+$/);
    expect(['critical', 'warning'], alert).toContain(labels['severity']);
    expect(annotations['summary'], alert).toMatch(/\w/);
  }
});

describe('the manifests of Kubernetes', () => {
  let folder: Folder;
  let pods: PodTemplate;
  beforeAll(async () => {
    folder = await makeFolder();
    const [set] = parseAllDocuments(await read('kubernetes/statefulset.yaml'), { version: '1.1' });
    pods = (set?.toJS() as { spec: { template: PodTemplate } }).spec.template;
    return () => folder.remove();
  });

  test('hold a configuration without mistakes, with the files where they are mounted', async () => {
    const { key, cert } = await makeCertificates({ dns: ['codec.example.com'] });
    const record = join(folder.path, 'record');
    await mkdir(record);
    await folder.write('tls/tls.crt', cert);
    await folder.write('tls/tls.key', key, 0o440);
    await folder.write('secrets/temporal-api-key', 'a-key', 0o440);
    const text = (await read('kubernetes/keyhole.yaml')).replace('/var/lib/keyhole', record);
    await folder.write('config/keyhole.yaml', text);
    const [{ env, volumeMounts }] = pods.spec.containers;
    const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
    const mounted = variables['KEYHOLE_CONFIG']?.replace('/etc/keyhole', folder.path);
    const config = await folder.config({ env: { ...variables, KEYHOLE_CONFIG: mounted } });
    expect(config.server.listen).toEqual({ host: '0.0.0.0', port: 8443 });
    const mounts = volumeMounts.map(({ mountPath }) => mountPath);
    expect(mounts).toEqual([
      ...['config', 'tls', 'secrets'].map((name) => `/etc/keyhole/${name}`),
      '/var/lib/keyhole',
    ]);
  });

  test('hand out secrets as the configuration demands them', () => {
    const modes = pods.spec.volumes.flatMap(({ secret }) =>
      secret === undefined ? [] : [secret.defaultMode],
    );
    expect(modes).toEqual([0o440, 0o440]);
  });

  test('leave a pod the time that it takes to stop', async () => {
    const config = parse(await read('kubernetes/keyhole.yaml')) as { limits?: object };
    expect(config.limits).toBeUndefined(); // else shutdownDelaySeconds may be another
    expect(pods.spec.terminationGracePeriodSeconds).toBeGreaterThan(5 + DRAIN_TIMEOUT_MS / 1000);
  });

  test('ask for the ports that are listened on, and for health where it is', async () => {
    const config = parse(await read('kubernetes/keyhole.yaml')) as {
      listen: string;
      metrics: { listen: string };
    };
    const [container] = pods.spec.containers;
    const ports = Object.fromEntries(container.ports.map(({ name, containerPort }) => [name, containerPort]));
    expect(config.listen).toBe(`0.0.0.0:${ports['https'] ?? ''}`);
    expect(config.metrics.listen).toBe(`0.0.0.0:${ports['metrics'] ?? ''}`);
    const paths = [container.startupProbe, container.livenessProbe, container.readinessProbe].map(
      ({ httpGet }) => `${httpGet.scheme} ${httpGet.port} ${httpGet.path}`,
    );
    expect(paths).toEqual([
      'HTTP metrics /health/live',
      'HTTP metrics /health/live',
      'HTTP metrics /health/ready',
    ]);
  });

  test('are all named by the kustomization', async () => {
    const { resources } = parse(await read('kubernetes/kustomization.yaml')) as { resources: string[] };
    const files = (await readdir(join(DEPLOY, 'kubernetes'))).filter(
      (name) => !['kustomization.yaml', 'keyhole.yaml'].includes(name),
    );
    expect(resources.sort()).toEqual(files.sort());
  });
});

test('image and unit start the command that the package has', async () => {
  const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    bin: { keyhole: string };
    devDependencies: Record<string, string>;
  };
  const dockerfile = await read('Dockerfile');
  expect(dockerfile).toContain(`ENTRYPOINT ["node", "/keyhole/${manifest.bin.keyhole.slice(2)}"]`);
  const [, sdks = ''] = /^ARG SDKS="(.*)"$/m.exec(dockerfile) ?? [];
  for (const sdk of sdks.split(' ')) expect(manifest.devDependencies).toHaveProperty([sdk]);
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files = '']) =>
    files.split(' '),
  );
  expect(await readdir(ROOT)).toEqual(expect.arrayContaining(copied));
  const unit = await read('systemd/keyhole.service');
  expect(unit).toMatch(/^ExecStart=\/usr\/bin\/env keyhole serve -c \/etc\/keyhole\/keyhole\.yaml$/m);
  expect(unit).toMatch(/^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
});

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme: string };
}

interface PodTemplate {
  readonly spec: {
    readonly terminationGracePeriodSeconds: number;
    readonly containers: readonly [
      {
        readonly env: readonly { readonly name: string; readonly value: string }[];
        readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
        readonly volumeMounts: readonly { readonly mountPath: string }[];
        readonly startupProbe: Probe;
        readonly livenessProbe: Probe;
        readonly readinessProbe: Probe;
      },
    ];
    readonly volumes: readonly { readonly secret?: { readonly defaultMode: number } }[];
  };
}

async function alerts(): Promise<readonly Alert[]> {
  const file = parse(await read('prometheus/keyhole.rules.yaml')) as { groups: { rules: Alert[] }[] };
  return file.groups.flatMap(({ rules }) => rules);
}

async function alertQueries(): Promise<Query[]> {
  return (await alerts()).map(({ alert, expr }) => ({ from: alert, text: expr }));
}

async function dashboardQueries(): Promise<Query[]> {
  const { panels } = JSON.parse(await read('grafana/keyhole.json')) as {
    panels: { title: string; targets?: { expr: string }[] }[];
  };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ from: title, text: expr })),
  );
}

/** A name that no parenthesis follows, and that is no word of the query language. */
function metricsIn(text: string): string[] {
  const bare = text.replaceAll(
    /\{[^}]*\}|\[[^\]]*\]|\b(?:by|without) \([^)]*\)|\b(?:or|unless)\b|\boffset \w+/g,
    '',
  );
  return [...bare.matchAll(/\b([a-z_]+)\b(?! *\()/g)].map(([, name = '']) => name);
}

function labelsIn(text: string): string[] {
  const selected = [...text.matchAll(/(\w+)(?:=~?|!=|!~)"/g)].map(([, label = '']) => label);
  const summed = [...text.matchAll(/\b(?:by|without) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  );
  return [...selected, ...summed];
}
