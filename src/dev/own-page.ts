// Whether a request was meant for this machine, and sent by a page of the server that it reached.
import type { IncomingMessage } from 'node:http';

/**
 * Whether the request names this machine and the port it came in by. A page of another name that was made to resolve
 * to this machine (DNS rebinding) sends its own name.
 */
export function isForThisMachine({ headers, socket }: IncomingMessage): boolean {
  const names = ['localhost', '127.0.0.1'];
  return names.some((name) => headers.host === `${name}:${socket.localPort ?? 0}`);
}

/**
 * Whether a page of `origin` sent the request. A browser names the sender of every POST in `Origin`; cookies alone
 * prove nothing, since they ignore the port.
 */
export function isFromOwnPage({ headers }: IncomingMessage, origin: string): boolean {
  const site = headers['sec-fetch-site'];
  return headers.origin === origin && (site === undefined || site === 'same-origin');
}
