// Vault's transit engine as a wrapping key, against a real Vault.
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { vaultTransit, type VaultTransitOptions } from '../../../src/keys/providers/vault-transit.js';
import type { WrappingKey } from '../../../src/keys/wrapping-key.js';
import { wrappingKeyContract, type KeyServiceUnderTest } from '../../../src/testing.js';
import { describeWithParts } from '../../parts/available.js';
import { startHttpFront } from '../../parts/http-front.js';
import { startVault, type Vault } from '../../parts/vault.js';
import { pauseProcess } from '../../parts/pause.js';
import { keepStream, plantSecret } from '../../streams.js';
import { payloadsComeBack } from './payloads-come-back.js';

const context = { namespace: 'orders.a1b2c', signal: new AbortController().signal };

interface KeyOptions {
  mount?: string;
  derived?: boolean;
  type?: string;
}

/** What docs/key-services.md tells an operator to grant. */
const UPDATE_ONLY = `
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }`;

describeWithParts(['vault'], 'vault-transit against a real Vault', () => {
  let vault: Vault;
  let token: string;
  let made = 0;
  beforeAll(async () => {
    vault = await startVault();
    token = plantSecret(await vault.tokenFor(UPDATE_ONLY));
  });
  afterAll(() => vault.stop());

  async function newKey({ mount = 'transit', ...options }: KeyOptions = {}): Promise<string> {
    const key = `key-${++made}`;
    await vault.call(`${mount}/keys/${key}`, options);
    return key;
  }

  function wrappingKey(key: string, options: Partial<VaultTransitOptions> = {}): WrappingKey {
    return vaultTransit({ address: vault.url, token: () => token, key, ...options })('orders.a1b2c');
  }

  async function open(): Promise<KeyServiceUnderTest> {
    const front = await startHttpFront(vault.url);
    const given = { token };
    const [name, otherName] = [await newKey(), await newKey()];
    const options = { address: front.url, token: () => given.token };
    return {
      key: wrappingKey(name, options),
      otherKey: wrappingKey(otherName, options),
      wrap: async (bytes, namespace) => {
        const [plaintext, associated_data] = [bytes, namespace].map((part) =>
          Buffer.from(part).toString('base64'),
        );
        const { ciphertext } = await vault.call(`transit/encrypt/${name}`, { plaintext, associated_data });
        return { keyId: `transit/keys/${name}/versions/1`, wrapped: Buffer.from(String(ciphertext)) };
      },
      requests: front.requests,
      befall: {
        disabled: async () => {
          await vault.call(`transit/keys/${name}/rotate`, {});
          await vault.call(`transit/keys/${name}/config`, { min_decryption_version: 2 });
        },
        deleted: async () => {
          await vault.call(`transit/keys/${name}/config`, { deletion_allowed: true });
          await vault.remove(`transit/keys/${name}`);
        },
        denied: async () => {
          given.token = await vault.tokenFor('path "transit/keys/*" { capabilities = ["read"] }');
        },
        throttled: () => (front.conduct = { status: 429, body: '{"errors":["rate limit quota exceeded"]}' }),
        throttledFor7Seconds: () =>
          (front.conduct = { status: 429, headers: { 'retry-after': '7' }, body: '{"errors":[]}' }),
        failing: () => (front.conduct = { status: 500, body: '{"errors":["internal error"]}' }),
        silent: () => (front.conduct = 'silent'),
        dead: () => (front.conduct = 'cut'),
        garbage: () => (front.conduct = { status: 200, body: '{"data":{"ciphertext":7,"plaintext":"?"}}' }),
      },
      close: () => front.stop(),
    };
  }

  wrappingKeyContract({ test, open });
  payloadsComeBack(open);

  test('goes on after a rotation: the new version wraps, the old one opens', async () => {
    const name = await newKey();
    const key = wrappingKey(name);
    const before = await key.generateDataKey(context);
    await vault.call(`transit/keys/${name}/rotate`, {});
    const after = await key.generateDataKey(context);
    expect([before.keyId, after.keyId]).toEqual([1, 2].map((n) => `transit/keys/${name}/versions/${n}`));
    for (const { wrapped, keyId, plaintext } of [before, after])
      expect(await key.unwrap(wrapped, keyId, context)).toEqual({ keyId, plaintext });
    await expect(key.unwrap(after.wrapped, before.keyId, context)).rejects.toMatchObject({
      code: 'key_wrong',
    });
  });

  test('asks for the token of each call, so that a renewed one counts at once', async () => {
    const tokens = ['hvs.expired', token];
    const key = wrappingKey(await newKey(), { token: () => Promise.resolve(tokens.shift() ?? '') });
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_denied' });
    expect((await key.generateDataKey(context)).plaintext).toHaveLength(32);
  });

  test('never shows a token, not even one that cannot stand in a header', async () => {
    const broken = plantSecret('hvs.with-a-line-end\nand-more');
    const key = wrappingKey(await newKey(), { token: () => broken });
    const error: unknown = await key.generateDataKey(context).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'key_unavailable' });
    keepStream('vault-errors', inspect(error, { depth: 10 }));
    expect(inspect(error, { depth: 10 })).not.toContain('hvs.with');
  });

  test('takes a mount at a path of its own, and a quota’s refusal as throttling', async () => {
    await vault.call('sys/mounts/team/transit', { type: 'transit' });
    const name = await newKey({ mount: 'team/transit' });
    const key = wrappingKey(name, { mount: 'team/transit', token: () => vault.rootToken });
    expect((await key.generateDataKey(context)).keyId).toBe(`team/transit/keys/${name}/versions/1`);
    await vault.call('sys/quotas/rate-limit/team', { path: 'team/transit', rate: 1, interval: '60s' });
    await key.generateDataKey(context);
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_throttled' });
  });

  test.each([
    ['that does not exist, and creates none', 'key_denied', undefined],
    ['that is derived and wants a context', 'key_denied', { derived: true }],
    ['without associated data', 'key_denied', { type: 'rsa-2048' }],
  ])('refuses a key %s', async (_, code, options) => {
    const name = options === undefined ? 'nobody-made-this' : await newKey(options);
    const key = wrappingKey(name);
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code });
    const listed = vault.read(`transit/keys/${name}`);
    if (options === undefined) await expect(listed).rejects.toThrow('404');
    else await expect(listed).resolves.toBeDefined();
  });

  test('tells an engine that is not mounted as gone, a sealed Vault as unavailable', async () => {
    const own = await startVault();
    try {
      const options = { address: own.url, token: () => own.rootToken };
      const nowhere = wrappingKey('orders', { ...options, mount: 'nowhere' });
      await expect(nowhere.generateDataKey(context)).rejects.toMatchObject({ code: 'key_gone' });
      await own.call('sys/seal', {});
      const sealed = wrappingKey('orders', options);
      await expect(sealed.generateDataKey(context)).rejects.toMatchObject({ code: 'key_unavailable' });
    } finally {
      await own.stop();
    }
  });

  test('paused or stopped ends a call in time, and it goes on once it answers again', async () => {
    const own = await startVault();
    const name = 'orders_a1b2c';
    await own.call(`transit/keys/${name}`, {});
    const key = wrappingKey('{namespace}', { address: own.url, token: () => own.rootToken, timeoutMs: 300 });
    const { wrapped, keyId, plaintext } = await key.generateDataKey(context);
    await pauseProcess(own.pid);
    try {
      const startedMs = performance.now();
      await expect(key.unwrap(wrapped, keyId, context)).rejects.toMatchObject({ code: 'key_unavailable' });
      expect(performance.now() - startedMs).toBeLessThan(1_000);
    } finally {
      process.kill(own.pid, 'SIGCONT');
    }
    expect(await key.unwrap(wrapped, keyId, context)).toEqual({ keyId, plaintext });
    await own.stop();
    await expect(key.unwrap(wrapped, keyId, context)).rejects.toMatchObject({ code: 'key_unavailable' });
  });
});

describe('vault-transit', () => {
  async function answering(status: number, headers: Record<string, string>, body: string): Promise<string> {
    const server = createServer((_, response) => {
      seen.push('asked');
      response.writeHead(status, headers).end(body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const servers: ReturnType<typeof createServer>[] = [];
  const seen: string[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });

  test('follows no redirect: the token would go along', async () => {
    const elsewhere = await answering(200, {}, '{}');
    const address = await answering(307, { location: `${elsewhere}/v1/transit/encrypt/orders` }, '');
    const key = vaultTransit({ address, token: () => 'a-token', key: 'orders' })('orders.a1b2c');
    await expect(key.generateDataKey(context)).rejects.toMatchObject({ code: 'key_unavailable' });
    expect(seen).toEqual(['asked']);
  });

  test('reads no answer beyond 64 KiB', async () => {
    const address = await answering(200, {}, `{"data":{"ciphertext":"${'x'.repeat(1_000_000)}"}}`);
    const key = vaultTransit({ address, token: () => 'a-token', key: 'orders' })('orders.a1b2c');
    await expect(key.generateDataKey(context)).rejects.toMatchObject({
      code: 'key_unavailable',
      cause: { message: 'the answer is longer than 65536 bytes' },
    });
  });

  test('sends the Vault namespace beside the path, and records it before the mount', async () => {
    const calls: [string, unknown][] = [];
    const key = vaultTransit({
      address: 'https://vault.example.com:8200/behind/',
      token: () => 'a-token',
      key: '{namespace}',
      vaultNamespace: 'team/payments',
      fetch: (url, { headers }) => {
        calls.push([url, headers]);
        return Promise.resolve(Response.json({ data: { ciphertext: 'vault:v3:AAAA' } }));
      },
    })('orders.a1b2c');
    expect((await key.generateDataKey(context)).keyId).toBe(
      'team/payments/transit/keys/orders_a1b2c/versions/3',
    );
    expect(calls).toMatchObject([
      [
        'https://vault.example.com:8200/behind/v1/transit/encrypt/orders_a1b2c',
        { 'x-vault-namespace': 'team/payments', 'x-vault-token': 'a-token', 'x-vault-request': 'true' },
      ],
    ]);
  });

  test.each([
    ['plain http to another machine', { address: 'http://vault.example.com:8200' }],
    ['an address with a password', { address: 'https://me:secret@vault.example.com' }],
    ['an address with a query', { address: 'https://vault.example.com/?a=b' }],
    ['no address', { address: 'vault.example.com' }],
    ['a key with a slash', { key: 'a/../b' }],
    ['a key that begins with a dot', { key: '..' }],
    ['a mount that climbs', { mount: '../sys' }],
    ['a Vault namespace with a line end', { vaultNamespace: 'team\n' }],
  ])('takes no %s', (_, options) => {
    const good = { address: 'https://vault.example.com', token: () => 'a-token', key: 'orders' };
    expect(() => vaultTransit({ ...good, ...options })).toThrow(TypeError);
  });
});
