// RSA keys in Azure Key Vault as wrapping keys: the real SDK against a stand-in of ours.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates, type Certificates } from '../../../src/dev/certificates.js';
import { azureKeyVault, type AzureKeyVaultOptions } from '../../../src/keys/providers/azure-key-vault.js';
import { wrappingKeyContract, type KeyServiceUnderTest } from '../../../src/testing.js';
import { startAzureKeyVault, type AzureKeyVaultStandIn } from '../../parts/azure-key-vault.js';
import { keepStream, plantSecret } from '../../streams.js';
import { payloadsComeBack } from './payloads-come-back.js';

const context = { namespace: 'orders.a1b2c', signal: new AbortController().signal };

describe('azure-key-vault against a stand-in of ours', () => {
  let certificates: Certificates;
  beforeAll(async () => {
    certificates = await makeCertificates();
  });

  /** As `config/open-wrapping-key.ts` makes the SDK's clients, but for the stand-in's certificate. */
  function clientsOf(
    url: string,
    token: string,
  ): Pick<AzureKeyVaultOptions, 'keyClient' | 'cryptographyClient'> {
    const credential = {
      getToken: () => Promise.resolve({ token, expiresOnTimestamp: Date.now() + 3_600_000 }),
    };
    const options = {
      retryOptions: { maxRetries: 0 },
      disableChallengeResourceVerification: true,
      tlsOptions: { ca: certificates.ca },
    };
    return {
      keyClient: new KeyClient(url, credential, { ...options }),
      cryptographyClient: (version) => new CryptographyClient(version, credential, { ...options }),
    };
  }

  interface Opened extends KeyServiceUnderTest {
    readonly vault: AzureKeyVaultStandIn;
    readonly clients: ReturnType<typeof clientsOf>;
  }

  async function open(): Promise<Opened> {
    const vault = await startAzureKeyVault(certificates);
    const clients = clientsOf(vault.url, plantSecret(vault.token));
    const [id, otherId] = [vault.createKey('orders--a1b2c'), vault.createKey('other')];
    const refusing = (status: number, headers = {}) => {
      vault.conduct = {
        status,
        headers,
        body: { error: { code: 'Refused', message: 'as the test wants it' } },
      };
    };
    return {
      vault,
      clients,
      key: azureKeyVault({ key: id.replace('orders--a1b2c', '{namespace}'), ...clients })('orders.a1b2c'),
      otherKey: azureKeyVault({ key: otherId, ...clients })('orders.a1b2c'),
      wrap: (bytes) => {
        const { id: keyId, wrapped } = vault.wrap('orders--a1b2c', bytes);
        return Promise.resolve({ keyId, wrapped });
      },
      requests: () => vault.asked.length,
      befall: {
        disabled: () => {
          vault.disable(vault.wrap('orders--a1b2c', new Uint8Array(1)).id);
        },
        deleted: () => {
          vault.remove('orders--a1b2c');
        },
        denied: () => {
          refusing(403);
        },
        throttled: () => {
          refusing(429);
        },
        throttledFor7Seconds: () => {
          refusing(429, { 'retry-after': '7' });
        },
        failing: () => {
          refusing(500);
        },
        silent: () => (vault.conduct = 'silent'),
        dead: () => (vault.conduct = 'cut'),
        garbage: () => (vault.conduct = { status: 200, body: { key: { kid: 7 }, value: 7 } }),
      },
      close: () => vault.stop(),
    };
  }

  wrappingKeyContract({ test, open });
  payloadsComeBack(open);

  test('goes on after a rotation: the new version wraps and is recorded, the old one opens', async () => {
    const { vault, key, close } = await open();
    const before = await key.generateDataKey(context);
    const id = vault.rotate('orders--a1b2c');
    const after = await key.generateDataKey(context);
    expect(after.keyId).toBe(id);
    expect(before.keyId).not.toBe(id);
    for (const { wrapped, keyId, plaintext } of [before, after])
      expect(Buffer.from((await key.unwrap(wrapped, keyId, context)).plaintext)).toEqual(plaintext);
    await close?.();
  });

  test('unwraps without reading the key: neither the permission nor an expired version stands in the way', async () => {
    const { vault, key, close } = await open();
    const { wrapped, keyId } = await key.generateDataKey(context);
    vault.asked.length = 0;
    await key.unwrap(wrapped, keyId, context);
    expect(vault.asked).toEqual([`POST ${new URL(keyId).pathname}/unwrapkey`]);
    await close?.();
  });

  test('pinned to a version holds that one alone', async () => {
    const { vault, clients, close } = await open();
    const [first, second] = [vault.rotate('pinned'), vault.rotate('pinned')];
    const key = azureKeyVault({ key: first, ...clients })('orders.a1b2c');
    expect((await key.generateDataKey(context)).keyId).toBe(first);
    expect([key.holds(first), key.holds(second)]).toEqual(['yes', 'no']);
    await close?.();
  });

  test.each([
    ['as it is', false, false],
    ['in base64url', true, false],
    ['in base64url, of a data key in base64', true, true],
  ])('unwraps what temporal-proxy recorded %s', async (_, blobIsText, dataKeyIsText) => {
    const { vault, key, close } = await open();
    const dataKey = plantSecret(randomBytes(32));
    const inner = dataKeyIsText ? Buffer.from(dataKey.toString('base64')) : dataKey;
    const { id, wrapped } = vault.wrap('orders--a1b2c', inner);
    const recorded = blobIsText ? Buffer.from(wrapped.toString('base64url')) : wrapped;
    const { plaintext } = await key.unwrap(recorded, null, context);
    expect(Buffer.compare(plaintext, dataKey)).toBe(0);
    if (blobIsText) {
      const bound = key.unwrap(recorded, id, context);
      await expect(bound).rejects.toMatchObject({ code: 'key_wrong_context' });
    }
    await close?.();
  });

  test('shows neither token nor data key in an error, whatever its cause carries', async () => {
    const { vault, key, close } = await open();
    await key.generateDataKey(context);
    vault.conduct = { status: 403, body: { error: { code: 'Forbidden', message: 'no' } } };
    const error: unknown = await key.generateDataKey(context).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'key_denied' });
    const text = inspect(error, { depth: 20, showHidden: true });
    keepStream('azure-errors', text);
    expect(text).not.toContain('Bearer');
    await close?.();
  });

  test('paused, so that connections open and nothing is said, ends a call in time', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `https://localhost:${(server.address() as AddressInfo).port}`;
    const options = { key: `${url}/keys/orders`, timeoutMs: 300, ...clientsOf(url, 'a-token') };
    const startedMs = performance.now();
    await expect(azureKeyVault(options)('orders.a1b2c').generateDataKey(context)).rejects.toMatchObject({
      code: 'key_unavailable',
    });
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    expect(sockets).toHaveLength(1);
    for (const socket of sockets) socket.destroy();
    server.close();
  });
});

describe('azure-key-vault', () => {
  const unasked = (): never => {
    throw new Error('unused');
  };
  const clients: Pick<AzureKeyVaultOptions, 'keyClient' | 'cryptographyClient'> = {
    keyClient: { getKey: unasked },
    cryptographyClient: unasked,
  };
  const VAULT = 'https://keyhole.vault.azure.net';

  test('says that it proves no origin', () => {
    expect(azureKeyVault({ key: `${VAULT}/keys/orders`, ...clients })('orders.a1b2c').provesOrigin).toBe(
      false,
    );
  });

  test.each(['Orders.a1b2c', 'orders_new.a1b2c', 'orders--new.a1b2c', 'orders-.a1b2c'])(
    'has no key for %s by template: another namespace’s name would be the same',
    (namespace) => {
      const keyOf = azureKeyVault({ key: `${VAULT}/keys/{namespace}`, ...clients });
      expect(() => keyOf(namespace)).toThrow('name its key in an entry of its own');
    },
  );

  test.each([
    'http://keyhole.vault.azure.net/keys/orders',
    `${VAULT}/secrets/orders`,
    `${VAULT}/keys/orders_new`,
    `${VAULT}/keys/orders/latest`,
    `${VAULT}/keys/orders?a=b`,
    'orders',
  ])('takes no key named %s', (key) => {
    expect(() => azureKeyVault({ key, ...clients })).toThrow(/^an Azure key is named/);
  });
});
