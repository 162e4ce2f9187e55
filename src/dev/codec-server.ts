// The codec server of dev mode: a configuration file as anyone would write it, read and assembled as `serve` does.
import type { Certificates } from './certificates.js';
import type { IdentityProvider } from './identity-provider.js';
import type { KeyholePlugin } from '../codec/plugin.js';

export interface DevCodecServerOptions {
  /** A directory of our own for the configuration, keys and record. */
  readonly directory: string;
  readonly port: number;
  readonly certificates: Certificates;
  readonly provider: IdentityProvider;
  /** Origin of the Web UI. */
  readonly uiOrigin: string;
  /** Roles by e-mail. */
  readonly people: Readonly<Record<string, readonly string[]>>;
}

export interface DevCodecServer {
  readonly origin: string;
  /** The file of its record. */
  readonly auditFile: string;
  /** For workers and clients that use the same keys. */
  readonly plugin: KeyholePlugin;
  stop(): Promise<void>;
}

export function startDevCodecServer(options: DevCodecServerOptions): Promise<DevCodecServer> {
  return Promise.reject(new Error(`not yet ${options.port}`));
}
