// The variables of the environment that Keyhole reads, and where a setting came from.

/** Name and meaning of each; what AWS's SDK reads beside them is its own. */
export const VARIABLES = {
  SSL_PEM: 'certificate of the HTTPS listener',
  SSL_KEY: 'its private key',
  TEMPORAL_API_KEY: 'key for the Cloud Operations API',
  TEMPORAL_OPS_ADDRESS: 'address of the Cloud Operations API',
  TEMPORAL_OPS_API_VERSION: 'version sent to it',
  KEYHOLE_ACCOUNT: 'Temporal Cloud account id',
  KEYHOLE_CONFIG: 'path of the configuration file',
  KEYHOLE_LISTEN: 'address to listen on',
  KEYHOLE_LOG_LEVEL: 'least level of log lines',
  HTTPS_PROXY: 'proxy for https and gRPC',
  HTTP_PROXY: 'proxy for http',
  NO_PROXY: 'what is asked straight',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'collector of traces, without their path',
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'where traces go',
  OTEL_SERVICE_NAME: 'name of this service in traces',
  OTEL_TRACES_SAMPLER: 'which traces are kept',
  OTEL_TRACES_SAMPLER_ARG: 'share of them',
  OTEL_SDK_DISABLED: 'whether there are none',
} as const;

export type Variable = keyof typeof VARIABLES;

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value and where it stands, for problems. */
export interface Sourced<T> {
  readonly value: T;
  /** Path in the file, or name of the variable. */
  readonly path: string;
}

/** An empty variable counts as none: that is how compose files leave one out. */
export function variable(env: Environment, name: Variable): Sourced<string> | undefined {
  const value = env[name];
  return value === undefined || value === '' ? undefined : { value, path: name };
}
