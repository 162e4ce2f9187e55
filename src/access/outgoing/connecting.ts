// How outgoing connections are made where a proxy stands between: agents for HTTP, and where a gRPC channel goes.
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

/** Of `node:http` and `node:https`. */
export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

/** Where a gRPC channel really connects, and the options of grpc-js that this needs. */
export interface Channel {
  /** `host:port` */
  readonly address: string;
  readonly options: Readonly<Record<string, string | number>>;
}

/** grpc-js would read the environment by itself. */
export function straightTo(address: string): Channel {
  return { address, options: { 'grpc.enable_http_proxy': 0 } };
}
