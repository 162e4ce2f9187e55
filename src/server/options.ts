// What the configuration says of the codec server.
import type { Limits } from './limits.js';

/**
 * What someone known but not allowed gets from `/decode`: `error` is a 403; `encrypted` the payloads untouched;
 * `notice`, for a browser on an allowed origin, a sentence in the place of each sealed payload.
 */
export type DeniedMode = 'error' | 'encrypted' | 'notice';

export interface TlsFiles {
  /** Path of the certificate chain, PEM. */
  readonly cert: string;
  /** Path of its private key, PEM. */
  readonly key: string;
}

export interface CorsOptions {
  /** Origins whose pages may call; exactly these, and the one of `publicUrl`. */
  readonly origins: readonly string[];
  /** Whether a page may send its cookies along. */
  readonly credentials: boolean;
}

export interface ServerOptions {
  /** Port 0 takes a free one. Needs a restart to change. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Absent: plain HTTP. */
  readonly tls?: TlsFiles;
  readonly cors: CorsOptions;
  /** Where callers reach this server; its origin may call as well. */
  readonly publicUrl: string;
  readonly denied: DeniedMode;
  /** Namespaces that the configuration names, for a person to look through. Default is none. */
  readonly namespaces?: readonly string[];
  readonly limits: Limits;
  /** CIDRs whose `X-Forwarded-For` counts. Default is none. */
  readonly trustedProxies?: readonly string[];
}
