// Our stand-in for Azure Key Vault: RSA keys over HTTPS, sign-in by 401 challenge, as its REST reference says.
import {
  constants,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificates } from '../../src/dev/certificates.js';
import type { Stoppable } from './spawn-part.js';

/** What a request of someone signed in meets. */
export type AzureConduct =
  | 'pass'
  | 'silent'
  | 'cut'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body: object };

export interface AzureKeyVaultStandIn extends Stoppable {
  readonly url: string;
  readonly port: number;
  /** What the caller's credential must answer. */
  readonly token: string;
  /** Requests of someone signed in, as `METHOD PATH`. */
  readonly asked: string[];
  conduct: AzureConduct;
  /** Makes a key with one version; answers the id of the key. */
  readonly createKey: (name: string) => string;
  /** A further version becomes the current one; answers its id. */
  readonly rotate: (name: string) => string;
  readonly disable: (versionId: string) => void;
  readonly remove: (name: string) => void;
  /** Wraps with the public key of the current version, as anyone can. */
  readonly wrap: (name: string, bytes: Uint8Array) => { id: string; wrapped: Buffer };
}

export interface AzureNames {
  /** On port 443. */
  readonly host: string;
  /** Where its callers sign in, the tenant included. */
  readonly authority: string;
}

interface Version {
  readonly id: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  enabled: boolean;
}

/** RSA keys take long to make: these are used again by each stand-in. */
const PAIRS: { publicKey: KeyObject; privateKey: KeyObject }[] = [];
const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };

/** @param known - as what its callers know it; default is this machine, on `port`, and nobody to sign in at. */
export async function startAzureKeyVault(
  { cert, key }: Pick<Certificates, 'cert' | 'key'>,
  known?: AzureNames,
): Promise<AzureKeyVaultStandIn> {
  const keys = new Map<string, Version[]>();
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    void bodyOf(incoming).then((body) => {
      answer(incoming, body, outgoing);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `https://${known?.host ?? `localhost:${port}`}`;
  let pairs = 0;

  const rotate = (name: string): string => {
    const pair = (PAIRS[pairs] ??= generateKeyPairSync('rsa', { modulusLength: 2048 }));
    pairs += 1;
    const id = `${url}/keys/${name}/${randomBytes(16).toString('hex')}`;
    keys.set(name, [...(keys.get(name) ?? []), { id, ...pair, enabled: true }]);
    return id;
  };
  const current = (name: string): Version => {
    const version = keys.get(name)?.at(-1);
    if (version === undefined) throw new Error(`no key ${name}`);
    return version;
  };
  const standIn: AzureKeyVaultStandIn = {
    url,
    port,
    token: `token-${randomBytes(16).toString('hex')}`,
    asked: [],
    conduct: 'pass',
    createKey: (name) => {
      rotate(name);
      return `${url}/keys/${name}`;
    },
    rotate,
    disable: (versionId) => {
      for (const version of [...keys.values()].flat()) if (version.id === versionId) version.enabled = false;
    },
    remove: (name) => keys.delete(name),
    wrap: (name, bytes) => {
      const { id, publicKey } = current(name);
      return { id, wrapped: publicEncrypt({ key: publicKey, ...OAEP }, bytes) };
    },
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return standIn;

  function answer(incoming: IncomingMessage, body: string, outgoing: ServerResponse): void {
    if (incoming.headers.authorization !== undefined || body !== '' || incoming.method === 'GET') {
      judge(incoming, body, outgoing);
    } else {
      // the SDK sends its first question without a body: of several at once, it is challenged last
      setTimeout(() => {
        judge(incoming, body, outgoing);
      }, 30);
    }
  }

  function judge(incoming: IncomingMessage, body: string, outgoing: ServerResponse): void {
    if (incoming.headers.authorization !== `Bearer ${standIn.token}`) {
      const authority = known?.authority ?? 'https://login.example.com/tenant';
      const resource = `https://${known?.host.replace(/^[^.]*\./, '') ?? 'vault.example.com'}`;
      const challenge = `Bearer authorization="${authority}", resource="${resource}"`;
      say(outgoing, 401, refusal('Unauthorized'), { 'www-authenticate': challenge });
      return;
    }
    const path = new URL(incoming.url ?? '/', url).pathname;
    standIn.asked.push(`${incoming.method ?? ''} ${path}`);
    const { conduct } = standIn;
    if (conduct === 'silent') return;
    if (conduct === 'cut') outgoing.destroy();
    else if (conduct !== 'pass') say(outgoing, conduct.status, conduct.body, conduct.headers);
    else serve(path, body, outgoing);
  }

  function serve(path: string, body: string, outgoing: ServerResponse): void {
    const [, , name = '', versionName = '', operation] = path.split('/');
    const versions = keys.get(name) ?? [];
    const version =
      versionName === '' ? versions.at(-1) : versions.find(({ id }) => id.endsWith(`/${versionName}`));
    if (version === undefined) {
      say(outgoing, 404, refusal('KeyNotFound'));
    } else if (operation === undefined) {
      const { n, e } = version.publicKey.export({ format: 'jwk' });
      say(outgoing, 200, {
        key: { kid: version.id, kty: 'RSA', n, e },
        attributes: { enabled: version.enabled },
      });
    } else {
      operate(version, operation, body, outgoing);
    }
  }
}

/** A disabled version goes on wrapping, but unwraps no more. */
function operate(version: Version, operation: string, body: string, outgoing: ServerResponse): void {
  const { alg, value = '' } = (body === '' ? {} : JSON.parse(body)) as { alg?: string; value?: string };
  if (alg !== 'RSA-OAEP-256') {
    say(outgoing, 400, refusal('BadParameter'));
  } else if (operation === 'wrapkey') {
    const wrapped = publicEncrypt({ key: version.publicKey, ...OAEP }, Buffer.from(value, 'base64url'));
    say(outgoing, 200, { kid: version.id, value: wrapped.toString('base64url') });
  } else if (!version.enabled) {
    say(outgoing, 403, refusal('Forbidden', 'KeyDisabled'));
  } else {
    try {
      const plain = privateDecrypt({ key: version.privateKey, ...OAEP }, Buffer.from(value, 'base64url'));
      say(outgoing, 200, { kid: version.id, value: plain.toString('base64url') });
    } catch {
      say(outgoing, 400, refusal('BadParameter'));
    }
  }
}

function refusal(code: string, inner?: string): object {
  return {
    error: {
      code,
      message: 'as the stand-in says',
      ...(inner !== undefined && { innererror: { code: inner } }),
    },
  };
}

function say(
  outgoing: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of incoming.setEncoding('utf8')) body += String(chunk);
  return body;
}
