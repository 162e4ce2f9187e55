// The codec server of dev mode: a configuration file as anyone would write it, read and assembled as `serve` does.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stringify } from 'yaml';
import { EncryptionCodec } from '../codec/encryption-codec.js';
import { KeyholePlugin } from '../codec/plugin.js';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load-config.js';
import { createLog } from '../config/logger.js';
import { openKeyring } from '../config/open-wrapping-key.js';
import { writeLocalKeyFile } from '../config/reading/local-key-file.js';
import { problemLine, type Problem } from '../config/reading/problems.js';
import { startService } from '../config/start-service.js';
import type { Certificates } from './certificates.js';
import type { IdentityProvider } from './identity/identity-provider.js';
import { NAMESPACES } from './people.js';

export interface DevCodecServerOptions {
  /** A directory of our own for the configuration, keys and record. */
  readonly directory: string;
  readonly port: number;
  readonly certificates: Certificates;
  readonly provider: IdentityProvider;
  /** What it is known as there. */
  readonly client: { readonly client_id: string; readonly client_secret: string };
  /** Where browsers reach it, on the origin of the Web UI. */
  readonly publicUrl: string;
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

/** @throws Error in one sentence, for example where the port is in use. */
export async function startDevCodecServer(options: DevCodecServerOptions): Promise<DevCodecServer> {
  const { directory } = options;
  const file = await writeFiles(options);
  const load = (): ReturnType<typeof loadConfig> => loadConfig({ file, env: {}, cwd: directory });
  const config = taken(await load()).config;
  const { logger, flush } = createLog(config.logLevel, join(directory, 'codec-server.log'));
  const { service } = taken(await startService({ config, load, logger, stdout: new PassThrough() }));
  const port = new URL(service.urls.url).port;
  return {
    origin: `https://localhost:${port}`,
    auditFile: join(directory, AUDIT_FILE),
    plugin: await pluginFor(config),
    stop: async () => {
      await service.stop({ hurry: true });
      flush();
    },
  };
}

const AUDIT_FILE = 'audit.ndjson';

/** Answers the path of the configuration file. */
async function writeFiles(options: DevCodecServerOptions): Promise<string> {
  const { directory, certificates, provider, client, publicUrl, people, port } = options;
  const secret = { mode: 0o600 };
  await writeFile(join(directory, 'authority.pem'), certificates.ca);
  await writeFile(join(directory, 'server.pem'), certificates.cert);
  await writeFile(join(directory, 'server.key'), certificates.key, secret);
  await writeFile(join(directory, 'client-secret'), client.client_secret, secret);
  await writeFile(join(directory, 'session-secret'), randomBytes(32).toString('base64'), secret);
  for (const namespace of NAMESPACES)
    await writeLocalKeyFile(join(directory, `${namespace}.yaml`), namespace);
  const { issuer, jwksUrl } = provider;
  const configuration = {
    listen: `127.0.0.1:${port}`,
    tls: { cert: 'server.pem', key: 'server.key' },
    publicUrl,
    cors: { origins: [new URL(publicUrl).origin] },
    denied: 'notice',
    keys: NAMESPACES.map((namespace) => ({
      namespaces: [namespace],
      wrap: { provider: 'local', file: `${namespace}.yaml` },
    })),
    access: {
      issuers: [
        {
          issuer,
          audience: AUDIENCE,
          jwks: jwksUrl,
          ca: 'authority.pem',
          claims: { email: 'email', emailVerified: 'email_verified' },
          emailDomains: ['example.com'],
        },
      ],
      signIn: {
        issuer,
        clientId: client.client_id,
        clientSecretFile: 'client-secret',
        sessionSecretFile: 'session-secret',
      },
      roles: { source: 'static', people },
    },
    audit: { file: AUDIT_FILE },
    metrics: { listen: '127.0.0.1:0' },
  };
  const file = join(directory, 'keyhole.yaml');
  await writeFile(file, stringify(configuration, { aliasDuplicateObjects: false }));
  return file;
}

const AUDIENCE = 'keyhole-dev';

async function pluginFor({ keys }: Config): Promise<KeyholePlugin> {
  const { keyring } = await openKeyring(keys);
  return new KeyholePlugin({ codec: new EncryptionCodec({ keys: keyring }) });
}

/** What dev mode wrote itself has no problems; a file that somebody changed in between might. */
function taken<T extends object>(result: T | { readonly problems: readonly Problem[] }): T {
  if ('problems' in result) throw new Error(result.problems.map(problemLine).join('; '));
  return result;
}
