// `-c, --config`: the option of every command that reads the configuration.

/** The arguments of commander's `option`. */
export const CONFIG_OPTION = [
  '-c, --config <file>',
  'configuration file (default: $KEYHOLE_CONFIG, then keyhole.yaml if it exists)',
] as const;

export interface ConfigFlags {
  readonly config?: string;
}
