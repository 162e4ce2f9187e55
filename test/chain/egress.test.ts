// `keyhole serve` where nothing can be reached but through a proxy: sign-in, key sets, roles, and each key service.
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchTrusting } from '../../src/access/outgoing/trusting-fetch.js';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { makeFolder, type Folder } from '../config/folder.js';
import { startKmsFor } from '../examples/kms.js';
import { describeWithParts } from '../parts/available.js';
import { startAzureKeyVault } from '../parts/azure-key-vault.js';
import { startCloudOperations } from '../parts/cloud-operations.js';
import { startConnectProxy, type ConnectProxy } from '../parts/connect-proxy.js';
import { startGcpKms } from '../parts/gcp-kms.js';
import { meet } from '../parts/http-front.js';
import type { Stoppable } from '../parts/spawn-part.js';
import { startVault } from '../parts/vault.js';
import { bodyOf, plainPayload } from '../server/running-server.js';
import { plantSecret } from '../streams.js';
import { startKeyhole, type Keyhole } from './keyhole-process.js';
import { configure, textsOf } from './system.js';
import { planted } from './token-issuer.js';

const ISSUER = 'https://idp.test';
const NAMESPACES = ['aws.a1b2c', 'google.a1b2c', 'azure.a1b2c', 'vault.a1b2c'] as const;
const PASSWORD = plantSecret('password-of-the-proxy-71ce04');
/** Whom Keyhole asks, as it knows them; only the proxy knows where they are. */
const ASKED = {
  awsKms: 'kms.eu-central-1.amazonaws.com:443',
  awsSts: 'sts.eu-central-1.amazonaws.com:443',
  googleKms: 'cloudkms.googleapis.com:443',
  googleSignIn: 'oauth2.googleapis.com:443',
  azureVault: 'keyhole.vault.azure.net:443',
  azureSignIn: 'login.microsoftonline.com:443',
  vault: 'vault.test:8200',
  operations: 'saas-api.tmprl.cloud:443',
  issuer: 'idp.test:443',
} as const;

describeWithParts(['moto', 'vault'], 'a codec server behind a proxy', () => {
  const stops: Stoppable[] = [];
  let certificates: Certificates;
  let folder: Folder;
  let proxy: ConnectProxy;
  let issuer: Issuer;
  let keyhole: Keyhole;

  function keep<T extends Stoppable>(part: T): T {
    stops.push(part);
    return part;
  }

  async function place(name: string, answer: Answering): Promise<void> {
    const server = createServer(certificates, answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    keep({ stop: () => stop(server) });
    proxy.places.set(name, (server.address() as AddressInfo).port);
  }

  beforeAll(async () => {
    const dns = [...Object.values(ASKED).map((address) => address.split(':', 1)[0] ?? ''), 'localhost'];
    certificates = await makeCertificates({ dns });
    folder = await makeFolder();
    keep({ stop: () => folder.remove() });
    proxy = keep(await startConnectProxy());
    issuer = await makeIssuer();
    await place(ASKED.issuer, issuer.answer);

    const kms = keep(await startKmsFor(['aws.a1b2c']));
    const aws = kms.env['AWS_ENDPOINT_URL_KMS'] ?? '';
    for (const name of [ASKED.awsKms, ASKED.awsSts])
      await place(name, (request, response) => {
        meet('pass', aws, request, response);
      });
    const vault = keep(await startVault());
    await vault.call('transit/keys/keyhole', {});
    await place(ASKED.vault, (request, response) => {
      meet('pass', vault.url, request, response);
    });
    const google = keep(await startGcpKms(certificates));
    proxy.places.set(ASKED.googleKms, google.port);
    const googleToken = plantSecret('google-access-token-90ab31');
    await place(ASKED.googleSignIn, saying({ access_token: googleToken, expires_in: 3600 }));
    const azure = keep(await startAzureKeyVault(certificates, AZURE));
    proxy.places.set(ASKED.azureVault, azure.port);
    await place(ASKED.azureSignIn, azureSignIn(azure.token));
    const apiKey = plantSecret('operations-key-33d0c1a9');
    const users = [{ email: 'owner@example.com', account: 'owner' }];
    const cloud = keep(await startCloudOperations({ certificates, users, apiKey }));
    proxy.places.set(ASKED.operations, Number(cloud.address.split(':')[1]));

    const secret = async (name: string, text: string): Promise<string> => folder.write(name, text);
    await secret('vault-token', vault.rootToken);
    await secret('client-secret', plantSecret('client-secret-0f7b2e'));
    await secret('session-secret', plantSecret('session-secret-e5d1c3-e5d1c3-e5d1c3'));
    const ca = await secret('ca.pem', certificates.ca);
    await configure(folder.path, {
      publicUrl: 'https://localhost',
      keys: [
        { namespaces: ['aws.a1b2c'], wrap: { provider: 'aws-kms', key: 'alias/{namespace}' } },
        { namespaces: ['google.a1b2c'], wrap: { provider: 'gcp-kms', key: google.createKey('keyhole') } },
        { namespaces: ['azure.a1b2c'], wrap: { provider: 'azure-key-vault', key: azure.createKey('one') } },
        {
          namespaces: ['vault.a1b2c'],
          wrap: {
            provider: 'vault-transit',
            address: `https://${ASKED.vault}`,
            key: 'keyhole',
            tokenFile: 'vault-token',
          },
        },
      ],
      access: {
        issuers: [
          {
            issuer: ISSUER,
            audience: 'keyhole',
            emailDomains: ['example.com'],
            accept: ['bearer', 'session'],
          },
        ],
        signIn: {
          issuer: ISSUER,
          clientId: 'keyhole',
          clientSecretFile: 'client-secret',
          sessionSecretFile: 'session-secret',
        },
      },
    });
    const env = {
      HTTPS_PROXY: proxy.url.replace('//', `//keyhole:${PASSWORD}@`),
      NO_PROXY: '169.254.169.254', // Google's library looks whether it runs at Google
      NODE_EXTRA_CA_CERTS: ca,
      GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: ca,
      NODE_NO_WARNINGS: '1',
      KEYHOLE_LISTEN: '127.0.0.1:0',
      SSL_PEM: await secret('cert.pem', certificates.cert),
      SSL_KEY: await secret('key.pem', certificates.key),
      TEMPORAL_API_KEY: apiKey,
      AWS_REGION: 'eu-central-1',
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/keyhole',
      AWS_WEB_IDENTITY_TOKEN_FILE: await secret('aws-token', plantSecret('aws-web-identity-5501aa')),
      GOOGLE_APPLICATION_CREDENTIALS: await secret('google.json', JSON.stringify(GOOGLE_USER)),
      AZURE_TENANT_ID: TENANT,
      AZURE_CLIENT_ID: '66666666-7777-8888-9999-000000000000',
      AZURE_CLIENT_SECRET: plantSecret('azure-client-secret-41bb'),
    };
    keyhole = keep(await startKeyhole({ directory: folder.path, env, ca: certificates.ca }));
  }, 60_000);
  afterAll(async () => {
    for (const part of stops.reverse()) await part.stop();
  });

  test.each(NAMESPACES)('seals and opens payloads of %s', async (namespace) => {
    const text = plantSecret(`behind-a-proxy-${namespace}`);
    const token = await issuer.token({ email: 'owner@example.com' });
    const sealed = await keyhole.ask('/encode', { token, namespace, body: bodyOf(plainPayload(text)) });
    expect(sealed.error).toEqual({});
    const opened = await keyhole.ask('/decode', { token, namespace, body: sealed.text });
    expect(textsOf(opened)).toEqual([text]);
  });

  test('signs people in', async () => {
    const fetch = fetchTrusting(certificates.ca);
    const begun = await fetch(`${keyhole.url}/signin/start`);
    const location = new URL(begun.headers.get('location') ?? '');
    issuer.nonce = location.searchParams.get('nonce') ?? '';
    const query = new URLSearchParams({ code: 'code', state: location.searchParams.get('state') ?? '' });
    const cookie = begun.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    const ended = await fetch(`${keyhole.url}/signin/callback?${query.toString()}`, { headers: { cookie } });
    const names = ended.headers.getSetCookie().map((line) => line.split('=', 1)[0]);
    expect(names).toContain('__Host-keyhole-session');
  });

  test('has asked everybody through the proxy, with its password, and told nobody of it', () => {
    expect([...new Set(proxy.asked)].sort()).toEqual(Object.values(ASKED).sort());
    const given = `Basic ${Buffer.from(`keyhole:${PASSWORD}`).toString('base64')}`;
    expect(new Set(proxy.authorizations)).toEqual(new Set([given]));
  });
});

type Answering = (request: IncomingMessage, response: ServerResponse) => void;

interface Issuer {
  readonly answer: Answering;
  /** Of the sign-in that ends next. */
  nonce: string;
  token(claims: Readonly<Record<string, unknown>>): Promise<string>;
}

async function makeIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }];
  const discovery = {
    issuer: ISSUER,
    jwks_uri: `${ISSUER}/jwks`,
    authorization_endpoint: `${ISSUER}/authorize`,
    token_endpoint: `${ISSUER}/token`,
    response_types_supported: ['code'],
    id_token_signing_alg_values_supported: ['ES256'],
  };
  const token: Issuer['token'] = async (claims) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: ISSUER, sub: 'owner', aud: 'keyhole', iat: now, exp: now + 600, ...claims };
    return planted(await signed(all, privateKey));
  };
  const issuer: Issuer = {
    nonce: '',
    token,
    answer: (request, response) => {
      const path = request.url?.split('?', 1)[0];
      if (path !== '/token') saying(path === '/jwks' ? { keys } : discovery)(request, response);
      else
        void token({ email: 'owner@example.com', nonce: issuer.nonce }).then((idToken) => {
          const body = { access_token: 'unused', token_type: 'Bearer', id_token: idToken };
          saying(body)(request, response);
        });
    },
  };
  return issuer;
}

function signed(claims: Readonly<Record<string, unknown>>, key: CryptoKey): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(key);
}

const TENANT = '11111111-2222-3333-4444-555555555555';
const AZURE = {
  host: 'keyhole.vault.azure.net',
  authority: `https://login.microsoftonline.com/${TENANT}`,
};

/** What Microsoft's own library asks before and when it asks for a token. */
function azureSignIn(token: string): Answering {
  const { authority } = AZURE;
  const body = {
    issuer: `${authority}/v2.0`,
    authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
    token_endpoint: `${authority}/oauth2/v2.0/token`,
    jwks_uri: `${authority}/discovery/v2.0/keys`,
    tenant_discovery_endpoint: `${authority}/v2.0/.well-known/openid-configuration`,
    token_type: 'Bearer',
    expires_in: 3600,
    access_token: token,
  };
  return saying(body);
}

function saying(body: object): Answering {
  return (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
}

/** A person's own credentials: unlike a service account's, their token is asked for over HTTP. */
const GOOGLE_USER = {
  type: 'authorized_user',
  client_id: 'client',
  client_secret: plantSecret('google-client-secret-77f2'),
  refresh_token: plantSecret('google-refresh-token-12de'),
};

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await once(server.close(), 'close');
}
