// Traces by OTLP, where the environment names a collector; OpenTelemetry is loaded only then.
import type * as Sdk from '@opentelemetry/sdk-trace';
import { Tracing } from '../server/telemetry/tracing.js';
import { openEgress, type Proxies } from './egress.js';
import { variable, type Environment, type Variable } from './environment.js';
import { packageVersion } from './package-version.js';
import type { Place } from './sections/place.js';

/** Where traces go, and which. */
export interface TracingConfig {
  readonly url: string;
  readonly serviceName: string;
  readonly sampler: SamplerName;
  /** Share of the traces that begin here, 0 to 1. */
  readonly ratio: number;
}

export interface OpenedTracing {
  readonly tracing: Tracing;
  /** What log lines carry as well. */
  readonly logged: () => object;
  /** Sends what is still waiting, for at most 2 s. Never rejects. */
  readonly close: () => Promise<void>;
}

const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

type SamplerName = (typeof SAMPLERS)[number];

const CLOSE_MS = 2_000;

/** The names, meanings and defaults are OpenTelemetry's (Environment Variable Specification). `undefined`: no traces. */
export function readTracing({ env, problems }: Pick<Place, 'env' | 'problems'>): TracingConfig | undefined {
  const url = urlOf(env);
  if (url === undefined || variable(env, 'OTEL_SDK_DISABLED')?.value === 'true') return undefined;
  const parsed = URL.parse(url.value);
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:')
    problems.add(url.path, 'must be an http or https address');
  const wanted = variable(env, 'OTEL_TRACES_SAMPLER')?.value ?? 'parentbased_always_on';
  const sampler = SAMPLERS.find((name) => name === wanted);
  if (sampler === undefined) problems.add('OTEL_TRACES_SAMPLER', `must be one of ${SAMPLERS.join(', ')}`);
  const ratio = Number(variable(env, 'OTEL_TRACES_SAMPLER_ARG')?.value ?? '1');
  if (!(ratio >= 0 && ratio <= 1)) problems.add('OTEL_TRACES_SAMPLER_ARG', 'must be between 0 and 1');
  const serviceName = variable(env, 'OTEL_SERVICE_NAME')?.value ?? 'keyhole';
  return { url: url.value, serviceName, sampler: sampler ?? 'always_off', ratio };
}

/** The address for traces stands as it is; the one for everything gets their path. */
function urlOf(env: Environment): { readonly value: string; readonly path: Variable } | undefined {
  const own = variable(env, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  if (own !== undefined) return { value: own.value, path: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT' };
  const base = variable(env, 'OTEL_EXPORTER_OTLP_ENDPOINT');
  if (base === undefined) return undefined;
  return { value: `${base.value.replace(/\/$/, '')}/v1/traces`, path: 'OTEL_EXPORTER_OTLP_ENDPOINT' };
}

/** Headers, certificates and time-outs the exporter reads from the environment as OpenTelemetry names them. */
export async function openTracing(config: TracingConfig, proxies: Proxies): Promise<OpenedTracing> {
  const [sdk, { OTLPTraceExporter }, { resourceFromAttributes, detectResources, envDetector }] =
    await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
  const egress = openEgress(proxies);
  const { keptAgents } = egress;
  const exporter = new OTLPTraceExporter({
    url: config.url,
    ...(keptAgents && {
      httpAgentOptions: (protocol) => (protocol === 'https:' ? keptAgents.https : keptAgents.http),
    }),
  });
  const named = { 'service.name': config.serviceName, 'service.version': packageVersion() };
  const provider = new sdk.TracerProvider({
    sampler: samplerOf(sdk, config),
    resource: detectResources({ detectors: [envDetector] }).merge(resourceFromAttributes(named)),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter })],
  });
  const tracing = new Tracing(provider.getTracer('temporal-keyhole', packageVersion()));
  return {
    tracing,
    logged: () => tracing.logged(),
    close: async () => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
      clearTimeout(timer);
      egress.close();
    },
  };
}

function samplerOf(sdk: typeof Sdk, { sampler, ratio }: TracingConfig): Sdk.Sampler {
  const parentBased = sampler.startsWith('parentbased_');
  const root = rootSamplerOf(sdk, sampler.replace('parentbased_', ''), ratio);
  return parentBased ? new sdk.ParentBasedSampler({ root }) : root;
}

function rootSamplerOf(sdk: typeof Sdk, name: string, ratio: number): Sdk.Sampler {
  if (name === 'traceidratio') return new sdk.TraceIdRatioBasedSampler(ratio);
  return name === 'always_on' ? new sdk.AlwaysOnSampler() : new sdk.AlwaysOffSampler();
}
