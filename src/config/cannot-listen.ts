// Whether an address can be listened on, and why not, in one sentence.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { urlHost, type Address } from './reading/address.js';

/** Tries it, for a moment. @throws Error as `cannotListen`. */
export async function assertCanListen(address: Address, setting: string): Promise<void> {
  const server = createServer().listen(address.port, address.host);
  await once(server, 'listening').catch(cannotListen(address, setting));
  await once(server.close(), 'close');
}

/** @param setting - path of the configuration that names the address. Throws an Error with that sentence. */
export function cannotListen({ host, port }: Address, setting: string): (error: unknown) => never {
  return (cause) => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    const reasons: Record<string, string> = {
      EADDRINUSE: 'the port is in use',
      EACCES: 'this user may not use the port',
      EADDRNOTAVAIL: 'this machine does not have that address',
      ENOTFOUND: 'there is no such host',
    };
    const reason = reasons[code] ?? code;
    throw new Error(`${setting}: cannot listen on ${urlHost(host)}:${port}: ${reason}`, { cause });
  };
}
