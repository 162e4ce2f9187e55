// Every real part starts, answers and ends here; and what is started never outlives its test.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { CreateKeyCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { Provider } from 'oidc-provider';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { makeCertificates, type Certificates } from '../../src/dev/certificates.js';
import { describeWithParts } from './available.js';
import { launchChromium } from './chromium.js';
import { startLocalStack } from './localstack.js';
import { startMoto } from './moto.js';
import { freePort, spawnPart, type Stoppable } from './spawn-part.js';
import { startTemporalServer } from './temporal-server.js';
import { callbackUrlOf, startUiServer } from './ui-server.js';
import { startVault } from './vault.js';

const started: Stoppable[] = [];
afterEach(async () => {
  for (const part of started.splice(0).reverse()) await part.stop();
});

async function keep<T extends Stoppable>(starting: Promise<T>): Promise<T> {
  const part = await starting;
  started.push(part);
  return part;
}

function stopOf(server: Server | HttpServer): Stoppable {
  return {
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

async function encryptsWith(endpoint: string): Promise<string> {
  const client = new KMSClient({
    endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
  const { KeyId } = await client.send(
    new EncryptCommand({ KeyId: KeyMetadata?.KeyId, Plaintext: Buffer.from('hello') }),
  );
  client.destroy();
  return KeyId ?? '';
}

/** A process that has ended and is not yet reaped by whoever inherited it counts as ended. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function refusesConnections(url: string): Promise<boolean> {
  return await fetch(url).then(
    () => false,
    () => true,
  );
}

describe('a part as a child process', () => {
  test.runIf(process.platform === 'linux')(
    'ends with the process that started it, even if that is killed',
    async () => {
      const script = fileURLToPath(new URL('start-and-hang.ts', import.meta.url));
      const parent = spawn(process.execPath, ['--import', 'tsx', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const pid = Number(String(((await once(parent.stdout, 'data')) as [Buffer])[0]));
      expect(isAlive(pid)).toBe(true);
      parent.kill('SIGKILL');
      await vi.waitUntil(() => !isAlive(pid), { timeout: 5_000 });
    },
  );

  test('that ends before it is ready is told with its last words', async () => {
    const starting = spawnPart({
      command: process.execPath,
      args: ['-e', 'console.error("no such port"); process.exit(3)'],
      isReady: () => Promise.resolve(false),
    });
    await expect(starting).rejects.toThrow(
      /ended before it was ready: exit code 3; its last words: no such port/,
    );
  });

  test('that is not ready in time is ended', async () => {
    const starting = spawnPart({
      command: process.execPath,
      args: ['-e', 'setInterval(() => {}, 1000)'],
      readyWithinMs: 200,
      isReady: () => Promise.resolve(false),
    });
    await expect(starting).rejects.toThrow('node: was not ready within 200 ms');
  });

  test('that cannot be started is told', async () => {
    const starting = spawnPart({ command: '/nowhere/part', args: [], isReady: () => Promise.resolve(false) });
    await expect(starting).rejects.toThrow('part: ended before it was ready');
  });
});

describeWithParts(['temporal'], 'the Temporal dev server', () => {
  test('serves its namespaces, its Web UI and the CLI', async () => {
    const server = await keep(startTemporalServer({ namespaces: ['orders.a1b2c', 'billing.a1b2c'], ui: {} }));
    const described = await server.cli(['operator', 'namespace', 'list', '-o', 'json']);
    expect(described.code).toBe(0);
    expect(described.stdout).toContain('billing.a1b2c');
    expect((await fetch(`${server.uiUrl ?? ''}/`)).status).toBe(200);
    const refused = await server.cli(['workflow', 'show', '-w', 'nowhere', '-n', 'orders.a1b2c']);
    expect(refused.code).toBe(1);
  });
});

describeWithParts(['moto'], 'moto', () => {
  test('encrypts with a KMS key, and is gone after its stop', async () => {
    const moto = await startMoto();
    expect(await encryptsWith(moto.url)).toMatch(/^arn:aws:kms:eu-central-1:/);
    await moto.stop();
    expect(await refusesConnections(moto.url)).toBe(true);
  });
});

describeWithParts(['localstack'], 'LocalStack', () => {
  test('encrypts with a KMS key', async () => {
    const { url } = await keep(startLocalStack());
    expect(await encryptsWith(url)).toMatch(/^arn:aws:kms:eu-central-1:/);
  });
});

describeWithParts(['vault'], 'Vault', () => {
  test('encrypts with a transit key, and is gone after its stop', async () => {
    const vault = await startVault();
    await vault.call('transit/keys/orders', {});
    const { ciphertext } = await vault.call('transit/encrypt/orders', { plaintext: 'aGVsbG8=' });
    expect(ciphertext).toMatch(/^vault:v1:/);
    await vault.stop();
    expect(await refusesConnections(vault.url)).toBe(true);
  });
});

describeWithParts(['temporal', 'ui-server'], 'the Web UI with sign-in', () => {
  test('offers the codec server, and sends a person to the OpenID provider', async () => {
    const [port, providerPort] = [await freePort(), await freePort()];
    const providerUrl = `http://localhost:${providerPort}`;
    const redirect = callbackUrlOf(`http://localhost:${port}`);
    const client = { client_id: 'web-ui', client_secret: 'of the test', redirect_uris: [redirect] };
    const provider = new Provider(providerUrl, { clients: [client] }).listen(providerPort);
    started.push(stopOf(provider));
    const temporal = await keep(startTemporalServer({ namespaces: ['orders.a1b2c'] }));
    const ui = await keep(
      startUiServer({
        temporalAddress: temporal.address,
        port,
        auth: {
          providerUrl,
          clientId: 'web-ui',
          clientSecret: 'of the test',
          options: { resource: 'urn:a' },
        },
        codec: { endpoint: 'https://localhost:8081', passAccessToken: true, includeCredentials: true },
      }),
    );
    const settings = (await (await fetch(`${ui.url}/api/v1/settings`)).json()) as object;
    expect(settings).toMatchObject({
      Auth: { Enabled: true },
      Codec: { Endpoint: 'https://localhost:8081', PassAccessToken: true, IncludeCredentials: true },
    });
    const login = await fetch(`${ui.url}/auth/sso`, { redirect: 'manual' });
    const target = new URL(login.headers.get('location') ?? '');
    expect(target.origin).toBe(providerUrl);
    expect(target.searchParams.get('client_id')).toBe('web-ui');
    expect(target.searchParams.get('redirect_uri')).toBe(redirect);
    expect(target.searchParams.get('resource')).toBe('urn:a');
  });
});

describeWithParts(['chromium'], 'Chromium', () => {
  async function servePage(certificates: Certificates): Promise<string> {
    const server = createServer({ cert: certificates.cert, key: certificates.key }, (_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<title>a page</title>');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    started.push(stopOf(server));
    return `https://localhost:${(server.address() as AddressInfo).port}/`;
  }

  test('loads a page over HTTPS from a server whose certificate it is told to trust, and from no other', async () => {
    const [trusted, other] = [await makeCertificates(), await makeCertificates()];
    const browser = await launchChromium({ trust: [trusted.cert] });
    started.push({ stop: () => browser.close() });
    const page = await browser.newPage();
    await page.goto(await servePage(trusted));
    expect(await page.title()).toBe('a page');
    await expect(page.goto(await servePage(other))).rejects.toThrow('ERR_CERT_AUTHORITY_INVALID');
  });
});

describeWithParts(['python', 'seed-python'], 'the Python environments', ({ python, 'seed-python': seed }) => {
  test.each([
    ['ours', python, 'cryptography, boto3'],
    ['the seed’s', seed, 'temporalio, cryptography, boto3'],
  ])('import what %s need', (_, program, modules) => {
    const said = execFileSync(program, ['-c', `import ${modules}; print("imported")`], { encoding: 'utf8' });
    expect(said.trim()).toBe('imported');
  });
});

describeWithParts(['node22', 'node24'], 'the Node versions of the matrix', ({ node22, node24 }) => {
  test.each([
    ['22', node22],
    ['24', node24],
  ])('Node %s runs', (major, program) => {
    expect(execFileSync(program, ['--version'], { encoding: 'utf8' })).toMatch(new RegExp(`^v${major}\\.`));
  });
});
