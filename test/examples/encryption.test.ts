// The example's worker and starter do what the seed's do, on a real Temporal server and a KMS emulator.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '../../src/dev/certificates.js';
import { describeWithParts } from '../parts/available.js';
import { freePort } from '../parts/spawn-part.js';
import { startTemporalServer, type TemporalServer } from '../parts/temporal-server.js';
import { plantSecret } from '../streams.js';
import { makeClientCertificate } from './client-certificate.js';
import { startKmsFor, type NamespaceKms } from './kms.js';
import {
  python,
  runStarter,
  runWorker,
  startWorker,
  typescript,
  type Environment,
  type Language,
} from './programs.js';
import { demandApiKey, demandCertificate } from './proxies.js';

const [ORDERS, BILLING, KEYLESS] = ['orders.a1b2c', 'billing.a1b2c', 'keyless.a1b2c'];
const HELLO = { code: 0, stdout: 'Workflow result: Hello, Temporal\n' };

describeWithParts(['temporal', 'moto'], 'worker and starter of the example', () => {
  let server: TemporalServer;
  let kms: NamespaceKms;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'keyhole-examples-'));
    [server, kms] = await Promise.all([
      startTemporalServer({ namespaces: [ORDERS, BILLING, KEYLESS] }),
      startKmsFor([ORDERS, BILLING]),
    ]);
  });
  afterAll(async () => {
    await Promise.all([server.stop(), kms.stop()]);
    await rm(directory, { recursive: true });
  });

  /** The environment of a program that finds KMS, and no `temporal.toml` but one that is given. */
  function environment(more: Environment): Environment {
    return { ...kms.env, XDG_CONFIG_HOME: directory, ...more };
  }

  function direct(more: Environment = {}): Environment {
    return environment({ TEMPORAL_ADDRESS: server.address, ...more });
  }

  async function file(name: string, text: string): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, text);
    return path;
  }

  async function withWorker<T>(language: Language, env: Environment, work: () => Promise<T>): Promise<T> {
    const worker = await startWorker(language, ORDERS, env);
    try {
      return await work();
    } finally {
      await worker.stop();
    }
  }

  test('the starter prints the greeting, and the server keeps only ciphertext of it', async () => {
    await withWorker(typescript, direct(), async () => {
      expect(await runStarter(typescript, [ORDERS], direct())).toMatchObject(HELLO);
    });
    const { stdout } = await server.cli(['workflow', 'show', '-n', ORDERS, '-w', 'encryption-workflow-id']);
    expect(stdout).toMatch(/ResultEncoding\s+binary\/encrypted/);
    const json = await server.cli([
      ...['workflow', 'show', '-n', ORDERS, '-w', 'encryption-workflow-id'],
      ...['--output', 'json'],
    ]);
    expect(json.stdout).toContain(Buffer.from('keyhole/v1').toString('base64'));
    expect(json.stdout).not.toContain(Buffer.from('Hello, Temporal').toString('base64').slice(0, -1));
  });

  test('both find the server by a profile of temporal.toml', async () => {
    const toml = `[profile.orders]\naddress = "${server.address}"\n`;
    const TEMPORAL_CONFIG_FILE = await file('temporal.toml', toml);
    const env = environment({ TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE: 'orders' });
    await withWorker(typescript, env, async () => {
      expect(await runStarter(typescript, [ORDERS], env)).toMatchObject(HELLO);
    });
  });

  describe('at a server that demands a client certificate', () => {
    let trusting: Environment;
    let certificate: Environment;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      const [authority, client] = await Promise.all([makeCertificates(), makeClientCertificate()]);
      const proxy = await demandCertificate(server.address, authority, client.cert);
      stop = proxy.stop;
      trusting = environment({
        TEMPORAL_ADDRESS: proxy.address,
        TEMPORAL_TLS_SERVER_CA_CERT_PATH: await file('ca.pem', authority.ca),
      });
      certificate = {
        TEMPORAL_TLS_CERT: await file('client.pem', client.cert),
        TEMPORAL_TLS_KEY: await file('client.key', client.key),
      };
    });
    afterAll(() => stop());

    test('both get through with the one that TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY name', async () => {
      const env = { ...trusting, ...certificate };
      await withWorker(typescript, env, async () => {
        expect(await runStarter(typescript, [ORDERS], env)).toMatchObject(HELLO);
      });
    });

    test.each([
      ['starter', runStarter],
      ['worker', runWorker],
    ] as const)('without it the %s says in one sentence that it cannot connect', async (_, runProgram) => {
      const { code, stdout, stderr } = await runProgram(typescript, [ORDERS], trusting);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^no connection to Temporal at localhost:\d+: .*\n$/);
    });

    test('with half of the pair the starter says that both belong together', async () => {
      const { TEMPORAL_TLS_CERT = '' } = certificate;
      const ended = await runStarter(typescript, [ORDERS], { ...trusting, TEMPORAL_TLS_CERT });
      const stderr = 'TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY belong together: set both or neither\n';
      expect(ended).toEqual({ code: 2, stdout: '', stderr });
    });
  });

  describe('at a server that demands an API key over TLS', () => {
    const apiKey = plantSecret('an-api-key-of-temporal-cloud');
    let atProxy: Environment;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      const authority = await makeCertificates();
      const proxy = await demandApiKey(server.address, authority, apiKey);
      stop = proxy.stop;
      const roots = await file('roots.pem', authority.ca);
      atProxy = environment({
        TEMPORAL_ADDRESS: proxy.address,
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: roots, // the starter's
        SSL_CERT_FILE: roots, // the worker's
      });
    });
    afterAll(() => stop());

    test('TEMPORAL_API_KEY turns TLS on and gets both through', async () => {
      const env = { ...atProxy, TEMPORAL_API_KEY: apiKey };
      await withWorker(typescript, env, async () => {
        expect(await runStarter(typescript, [ORDERS], env)).toMatchObject(HELLO);
      });
    });

    test('another key is refused, and the sentence does not hold it', async () => {
      const wrong = plantSecret('another-api-key-of-temporal-cloud');
      const ended = await runStarter(typescript, [ORDERS], { ...atProxy, TEMPORAL_API_KEY: wrong });
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toMatch(/^no connection to Temporal at localhost:\d+: .*UNAUTHENTICATED.*\n$/);
    });
  });

  describe('say in one sentence what is wrong', () => {
    test.each([
      ['no namespace', []],
      ['two namespaces', [ORDERS, BILLING]],
    ])('%s: the usage, exit code 2', async (_, args) => {
      const started = await runStarter(typescript, args, direct());
      expect(started).toEqual({ code: 2, stdout: '', stderr: 'usage: npm run starter -- NAMESPACE\n' });
      const worked = await runWorker(typescript, args, direct());
      expect(worked).toEqual({ code: 2, stdout: '', stderr: 'usage: npm run worker -- NAMESPACE\n' });
    });

    test('a format that is not written here: exit code 2', async () => {
      const ended = await runStarter(typescript, [ORDERS], direct({ KEYHOLE_WRITE: 'none' }));
      const stderr = 'KEYHOLE_WRITE must be keyhole/v1 (the default) or encryption-jwt\n';
      expect(ended).toEqual({ code: 2, stdout: '', stderr });
    });

    test.each([
      ['starter', runStarter],
      ['worker', runWorker],
    ] as const)('a server that the %s cannot reach', async (_, runProgram) => {
      const address = `127.0.0.1:${await freePort()}`;
      const ended = await runProgram(typescript, [ORDERS], direct({ TEMPORAL_ADDRESS: address }));
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toMatch(new RegExp(`^no connection to Temporal at ${address}: .*\\n$`));
    });

    test.each([
      ['starter', runStarter],
      ['worker', runWorker],
    ] as const)('a namespace whose key is missing, in the %s', async (_, runProgram) => {
      const ended = await runProgram(typescript, [KEYLESS], direct());
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toMatch(/^.*AWS KMS answered NotFoundException for alias\/keyless_a1b2c.*\n$/);
    });
  });

  describeWithParts(['seed-python'], 'beside Python programs in the manner of the seed', () => {
    test.each([
      { worker: python, starter: typescript },
      { worker: typescript, starter: python },
    ])('a $worker.name worker and a $starter.name starter share a workflow', async ({ worker, starter }) => {
      const env = direct({ KEYHOLE_WRITE: 'encryption-jwt' });
      await withWorker(worker, env, async () => {
        expect(await runStarter(starter, [ORDERS], env)).toMatchObject(HELLO);
      });
    });
  });
});
