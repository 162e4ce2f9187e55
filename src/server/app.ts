// The codec server as its owner sees it.
import { HttpCodecServer } from './http/http-codec-server.js';
import type { CodecServerParts } from './parts.js';

export type { CodecServerParts } from './parts.js';
export type { CorsOptions, DeniedMode, ServerOptions, TlsFiles } from './options.js';

export interface CodecServer {
  /**
   * Opens the port. Rejects with the system's error where it cannot be had, or with what is wrong with the
   * certificate. `url` carries the real port.
   */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** New requests get these parts, those in flight end with the old ones. `listen` and `headerBytes` stay. */
  reload(parts: CodecServerParts): void;
  /** Reads certificate and key anew; rejects, and keeps the old pair, where the new one cannot be used. */
  reloadTls(): Promise<void>;
  /**
   * Not ready at once; after `shutdownDelaySeconds` no new connections; resolves when what was in flight has ended,
   * at most 20 s later.
   */
  drain(): Promise<void>;
  /** As `drain`, without the delay. */
  close(): Promise<void>;
}

export function createCodecServer(parts: CodecServerParts): CodecServer {
  return new HttpCodecServer(parts);
}
