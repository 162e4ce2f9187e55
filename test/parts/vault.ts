// A real Vault with transit engines: unsealed, in memory, gone when stopped.
import { pathOf } from './catalogue.js';
import { answersOk, freePort, spawnPart, type RunningPart } from './spawn-part.js';

export interface Vault extends Pick<RunningPart, 'pid' | 'stop'> {
  readonly url: string;
  readonly rootToken: string;
  /** A POST to the HTTP API as root; answers the body's `data`. */
  readonly call: (path: string, body: object) => Promise<Readonly<Record<string, unknown>>>;
  readonly read: (path: string) => Promise<Readonly<Record<string, unknown>>>;
  readonly remove: (path: string) => Promise<void>;
  /** A token with one policy, in Vault's own language. */
  readonly tokenFor: (policy: string) => Promise<string>;
}

export async function startVault(): Promise<Vault> {
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const { pid, said, stop } = await spawnPart({
    command: pathOf('vault'),
    args: [address],
    isReady: async (signal, text) => TOKEN.test(text) && (await answersOk(`${url}/v1/sys/health`, signal)),
  });
  const rootToken = TOKEN.exec(said())?.[1] ?? '';
  const ask = async (method: string, path: string, body?: object): Promise<VaultAnswer> => {
    const headers = { 'x-vault-token': rootToken };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(`${url}/v1/${path}`, { method, headers, ...text });
    const said = await answer.text();
    if (!answer.ok) throw new Error(`vault answered ${answer.status} to ${path}: ${said}`);
    return said === '' ? {} : (JSON.parse(said) as VaultAnswer);
  };
  let policies = 0;
  const vault: Vault = {
    pid,
    url,
    rootToken,
    stop,
    call: async (path, body) => (await ask('POST', path, body)).data ?? {},
    read: async (path) => (await ask('GET', path)).data ?? {},
    remove: async (path) => {
      await ask('DELETE', path);
    },
    tokenFor: async (policy) => {
      const name = `policy-${++policies}`;
      await ask('POST', `sys/policies/acl/${name}`, { policy });
      const { auth } = await ask('POST', 'auth/token/create', { policies: [name], no_default_policy: true });
      return auth?.client_token ?? '';
    },
  };
  await vault.call('sys/mounts/transit', { type: 'transit' });
  return vault;
}

interface VaultAnswer {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly auth?: { readonly client_token: string } | null;
}

const TOKEN = /TOKEN (\S+)/;
