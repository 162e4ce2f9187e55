// Temporal's Web UI with sign-in (ui-server), on a Temporal server that is already there.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathOf } from './catalogue.js';
import { answersOk, freePort, spawnPart, type Stoppable } from './spawn-part.js';

export interface UiServerOptions {
  /** `127.0.0.1:PORT` of the Temporal server. */
  readonly temporalAddress: string;
  /** Default is a free one; choose it with `freePort` where the provider must know the callback first. */
  readonly port?: number;
  readonly defaultNamespace?: string;
  /** Sign-in with an OpenID provider, which must be running already. Without it there is none. */
  readonly auth?: {
    readonly providerUrl: string;
    readonly clientId: string;
    readonly clientSecret: string;
    /** Default is `openid profile email offline_access`. */
    readonly scopes?: readonly string[];
    /** Sent to the provider's authorization endpoint as query parameters. */
    readonly options?: Readonly<Record<string, string>>;
    /** PEM file of the CA of the provider's certificate, for a provider over HTTPS. */
    readonly caFile?: string;
  };
  readonly codec?: {
    readonly endpoint: string;
    readonly passAccessToken?: boolean;
    readonly includeCredentials?: boolean;
    readonly defaultErrorMessage?: string;
    readonly defaultErrorLink?: string;
  };
  /** Serves the UI over HTTPS: PEM files. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

export interface UiServer extends Stoppable {
  /** Its origin, with `localhost` as host. */
  readonly url: string;
}

/** Where the OpenID provider sends the browser back to. */
export function callbackUrlOf(origin: string): string {
  return `${origin}/auth/sso/callback`;
}

export async function startUiServer(options: UiServerOptions): Promise<UiServer> {
  const port = options.port ?? (await freePort());
  const scheme = options.tls === undefined ? 'http' : 'https';
  const url = `${scheme}://localhost:${port}`;
  const directory = await mkdtemp(join(tmpdir(), 'keyhole-ui-server-'));
  await mkdir(join(directory, 'config'));
  // the file is YAML, of which JSON is a part
  await writeFile(
    join(directory, 'config', 'test.yaml'),
    JSON.stringify(configurationOf(options, port, url), null, 2),
  );
  const { stop } = await spawnPart({
    command: pathOf('ui-server'),
    args: ['--root', directory, '--config', 'config', '--env', 'test', 'start'],
    cwd: directory,
    env: { ...(options.auth?.caFile !== undefined && { SSL_CERT_FILE: options.auth.caFile }) },
    isReady: (signal) => isUp(options, url, signal),
    afterwards: () => rm(directory, { recursive: true, force: true }),
  });
  return { url, stop };
}

function configurationOf(options: UiServerOptions, port: number, url: string): object {
  const { auth, codec, tls } = options;
  return {
    temporalGrpcAddress: options.temporalAddress,
    host: '127.0.0.1',
    port,
    enableUi: true,
    disableNewsFetch: true,
    notifyOnNewVersion: false,
    defaultNamespace: options.defaultNamespace ?? 'default',
    cors: { allowOrigins: [url], cookieInsecure: tls === undefined },
    ...(tls && { uiServerTLS: tls }),
    ...(codec && { codec }),
    ...(auth && {
      auth: {
        enabled: true,
        providers: [
          {
            label: 'test provider',
            type: 'oidc',
            providerUrl: auth.providerUrl,
            clientId: auth.clientId,
            clientSecret: auth.clientSecret,
            scopes: auth.scopes ?? ['openid', 'profile', 'email', 'offline_access'],
            callbackUrl: callbackUrlOf(url),
            options: auth.options ?? {},
          },
        ],
      },
    }),
  };
}

async function isUp(options: UiServerOptions, url: string, signal: AbortSignal): Promise<boolean> {
  const health = `${url}/healthz`;
  return options.tls === undefined ? answersOk(health, signal) : answersOverTls(health, signal);
}

/** Only whether it answers: whom its certificate names is for the test to check. */
async function answersOverTls(url: string, signal: AbortSignal): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false, signal, timeout: 2_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    })
      .once('timeout', () => {
        reject(new Error('no answer'));
      })
      .once('error', reject);
  });
}
