// The key services of a configuration, opened as `serve` opens them.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { openKeyring } from '../../src/config/open-wrapping-key.js';
import { EncryptionCodec } from '../../src/index.js';
import { describeWithParts } from '../parts/available.js';
import { startVault } from '../parts/vault.js';
import { GOOD, makeFolder } from './folder.js';

const namespace = 'orders.a1b2c';
const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"an order"') };

async function opened(wrap: object, files: Readonly<Record<string, string>> = {}) {
  const folder = await makeFolder();
  for (const [name, content] of Object.entries(files)) await folder.write(name, content);
  await folder.configure({ ...GOOD, keys: [{ namespaces: [namespace], wrap }] });
  const { keys } = await folder.config();
  return { folder, ...(await openKeyring(keys)) };
}

describeWithParts(['vault'], 'a transit engine that is configured', () => {
  test('seals and opens, and a token that was renewed in its file counts at once', async () => {
    const vault = await startVault();
    try {
      await vault.call('transit/keys/orders_a1b2c', {});
      const wrap = { provider: 'vault-transit', address: vault.url, tokenFile: './token' };
      const { folder, keyring, close } = await opened(wrap, { token: 'hvs.expired' });
      const codec = new EncryptionCodec({ keys: keyring });
      const sealing = codec.encode([plain], { namespace });
      await expect(sealing).rejects.toMatchObject({ code: 'key_denied' });
      await folder.write('token', `${vault.rootToken}\n`);
      const anew = new EncryptionCodec({ keys: keyring });
      const sealed = await anew.encode([plain], { namespace });
      expect(Buffer.from(sealed[0]?.metadata?.['encryption-key-id'] ?? []).toString()).toBe(
        'transit/keys/orders_a1b2c/versions/1',
      );
      const [payload] = await anew.decode(sealed, { namespace });
      expect(Buffer.from(payload?.data ?? []).toString()).toBe('"an order"');
      close();
      await folder.remove();
    } finally {
      await vault.stop();
    }
  });
});

test('Google Cloud KMS is loaded for the configuration that names it, without asking it', async () => {
  const key = 'projects/p/locations/l/keyRings/r/cryptoKeys/{namespace}';
  const { folder, keyring, close } = await opened({ provider: 'gcp-kms', key });
  const { wrap } = keyring.forNamespace(namespace);
  expect([wrap.provider, wrap.name]).toEqual(['gcp-kms', key.replace('{namespace}', 'orders_a1b2c')]);
  close();
  await folder.remove();
});

test('a key in Azure Key Vault is asked for once, by an SDK that does not try again, and its use is warned of', async () => {
  let connections = 0;
  const nobody = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const key = `https://localhost:${(nobody.address() as AddressInfo).port}/keys/{namespace}`;
  const { folder, keyring, close } = await opened({ provider: 'azure-key-vault', key });
  const { wrap } = keyring.forNamespace(namespace);
  expect(wrap).toMatchObject({ provider: 'azure-key-vault', provesOrigin: false });
  expect(wrap.name).toBe(key.replace('{namespace}', 'orders--a1b2c'));
  const asking = wrap.generateDataKey({ namespace, signal: AbortSignal.timeout(4_000) });
  await expect(asking).rejects.toMatchObject({ code: 'key_unavailable' });
  expect(connections).toBe(1);
  expect((await folder.config()).warnings).toContain(
    'keys[0].wrap: with azure-key-vault whoever has the public key can seal: what opens is secret, its origin is not proven',
  );
  close();
  nobody.close();
  await folder.remove();
});
