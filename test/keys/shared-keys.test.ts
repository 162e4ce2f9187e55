// Which key opens, where a payload names none or a key has many ids, and what is noticed when one serves two namespaces.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { PayloadCipher } from '../../src/codec/payload-cipher.js';
import { readMark, type SealedMark } from '../../src/codec/marks.js';
import {
  awsKms,
  azureKeyVault,
  gcpKms,
  Keyring,
  LocalWrappingKey,
  vaultTransit,
  type KeyholeEvent,
  type KeyringEntry,
  type WrappingKey,
} from '../../src/index.js';
import { DataKeys } from '../../src/keys/data-keys.js';
import { KeyCalls } from '../../src/keys/key-calls.js';
import { FakeWrappingKey } from '../../src/testing.js';
import { contentOf } from '../codec/payloads.js';

const PLAIN = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"an order"') };
const [ORDERS, BILLING] = ['orders.a1b2c', 'billing.a1b2c'];

/** A key whose service records a new version with each data key. */
class VersionedKey extends FakeWrappingKey {
  #version = 0;

  override async generateDataKey(...given: Parameters<FakeWrappingKey['generateDataKey']>) {
    return { ...(await super.generateDataKey(...given)), keyId: this.#next() };
  }

  override async unwrap(...given: Parameters<FakeWrappingKey['unwrap']>) {
    return { ...(await super.unwrap(...given)), keyId: this.#next() };
  }

  identityOf(): string {
    return this.name;
  }

  #next(): string {
    this.#version += 1;
    return `${this.name}/${this.#version}`;
  }
}

function cipherWith(entries: readonly KeyringEntry[]): {
  cipher: PayloadCipher;
  dataKeys: DataKeys;
  events: KeyholeEvent[];
} {
  const events: KeyholeEvent[] = [];
  const observer = (event: KeyholeEvent): void => void events.push(event);
  const keyring = new Keyring(entries);
  const dataKeys = new DataKeys({ keyring, calls: new KeyCalls({ observer }), observer });
  return { cipher: new PayloadCipher({ keyring, dataKeys, observer }), dataKeys, events };
}

function jwtEntry(namespace: string, wrap: WrappingKey, unwrap: readonly WrappingKey[] = []): KeyringEntry {
  const others = unwrap.map((key) => () => key);
  return {
    namespaces: [namespace],
    wrap: () => wrap,
    unwrap: others,
    write: 'encryption-jwt',
    sharesKey: false,
  };
}

describe('a wrapping key that serves two namespaces', () => {
  test('is noticed although its service recorded another version for each, and opens unbound payloads in neither', async () => {
    const key = new VersionedKey();
    const { cipher } = cipherWith([jwtEntry(ORDERS, key), jwtEntry(BILLING, key)]);
    const sealed = await cipher.seal(PLAIN, ORDERS);
    for (const namespace of [BILLING, ORDERS]) {
      const opening = async () => cipher.open(sealed, readMark(sealed) as SealedMark, namespace);
      await expect(opening()).rejects.toMatchObject({ code: 'format_not_enabled' });
    }
  });

  test('is reported once, by its configured name, with both namespaces', async () => {
    const key = new FakeWrappingKey('team-key');
    const { cipher, dataKeys, events } = cipherWith([
      { namespaces: ['*'], wrap: () => key, sharesKey: true },
    ]);
    for (const namespace of [ORDERS, ORDERS, BILLING, 'third.a1b2c', ORDERS]) {
      await cipher.seal(PLAIN, namespace);
      dataKeys.rotate();
    }
    expect(events.filter(({ type }) => type === 'key_shared')).toEqual([
      { type: 'key_shared', key: 'team-key', namespaces: [ORDERS, BILLING] },
    ]);
  });

  const gcp = 'projects/p/locations/l/keyRings/r/cryptoKeys/k';
  const azure = 'https://v.vault.azure.net/keys/k';
  const version = randomBytes(16).toString('hex');
  const arn = (region: string, id: string): string => `arn:aws:kms:${region}:111122223333:key/${id}`;
  const call = (): Promise<never> => Promise.reject(new Error('unused'));
  const unasked = { initialize: call, encrypt: call, decrypt: call, generateDataKey: call, getKey: call };

  test.each<[string, WrappingKey, string, string]>([
    [
      'versions in Google Cloud KMS',
      gcpKms({ client: unasked, key: gcp })(ORDERS),
      `${gcp}/cryptoKeyVersions/1`,
      gcp,
    ],
    [
      'versions in Azure Key Vault',
      azureKeyVault({ key: `${azure}/${version}`, keyClient: unasked, cryptographyClient: call as never })(
        ORDERS,
      ),
      `${azure}/${version}`,
      azure,
    ],
    [
      'versions in a transit engine',
      vaultTransit({ address: 'https://vault.example', token: () => '', key: 'k' })(ORDERS),
      'transit/keys/k/versions/7',
      'transit/keys/k',
    ],
    [
      'replicas in AWS KMS',
      awsKms({ client: unasked })(ORDERS),
      arn('eu-west-1', 'mrk-12'),
      'arn:aws:kms:111122223333:key/mrk-12',
    ],
    [
      'Regions, but not keys, of AWS KMS',
      awsKms({ client: unasked })(ORDERS),
      arn('eu-west-1', '12'),
      arn('eu-west-1', '12'),
    ],
  ])('is the same for all %s', (_, key, keyId, identity) => {
    expect(key.identityOf?.(keyId)).toBe(identity);
  });
});

describe('a payload that records no key id', () => {
  const old = new LocalWrappingKey([{ id: 'old', secret: randomBytes(32) }]);
  const young = new LocalWrappingKey([{ id: 'young', secret: randomBytes(32) }]);

  test('opens after a rotation under the key that may still unwrap, and is recorded under that name', async () => {
    const sealed = await cipherWith([jwtEntry(ORDERS, old)]).cipher.seal(PLAIN, ORDERS);
    const mark = readMark(sealed) as SealedMark;
    const { cipher } = cipherWith([jwtEntry(ORDERS, young, [old])]);
    expect(contentOf(await cipher.open(sealed, mark, ORDERS))).toEqual(contentOf(PLAIN));
    expect(cipher.keyName(mark, sealed, ORDERS)).toBe('old');
  });

  test('that was changed is refused by all of them', async () => {
    const sealed = await cipherWith([jwtEntry(ORDERS, old)]).cipher.seal(PLAIN, ORDERS);
    const mark = readMark(sealed) as SealedMark;
    const changed = { ...mark, wrappedKey: mark.wrappedKey.map((byte) => byte ^ 1) };
    const { cipher, events } = cipherWith([jwtEntry(ORDERS, young, [old])]);
    const opening = async () => cipher.open(sealed, changed, ORDERS);
    await expect(opening()).rejects.toMatchObject({ code: 'key_wrong_context' });
    expect(events.flatMap((event) => (event.type === 'key_call' ? [event.key] : []))).toEqual([
      'young',
      'old',
    ]);
  });
});

test('a payload that records a key id is tried under no other key', async () => {
  const [first, second] = [new FakeWrappingKey('same'), new FakeWrappingKey('same')];
  const entry = {
    namespaces: [ORDERS],
    wrap: () => first,
    unwrap: [() => second],
    sharesKey: false,
  };
  const { dataKeys } = cipherWith([entry]);
  const reference = { namespace: ORDERS, bound: true, keyId: 'same', commitment: null };
  const opening = async () => dataKeys.opening({ ...reference, wrapped: randomBytes(16) });
  await expect(opening()).rejects.toMatchObject({ code: 'key_wrong_context' });
  expect([first.calls.length, second.calls.length]).toEqual([1, 0]);
});

test('an opened data key of one URI of temporal-proxy opens nothing under another, whatever their keys are called', async () => {
  const [mine, other] = [new FakeWrappingKey('alias/proxy'), new FakeWrappingKey('alias/proxy')];
  const { wrapped } = await mine.generateDataKey({ namespace: null, signal: new AbortController().signal });
  const { dataKeys } = cipherWith([{ namespaces: [ORDERS], wrap: () => mine, sharesKey: true }]);
  const reference = { namespace: ORDERS, bound: false, wrapped, commitment: null };
  await dataKeys.opening({ ...reference, keyId: 'awskms:///alias/proxy?context_tenant=a', by: mine });
  const again = async () =>
    dataKeys.opening({ ...reference, keyId: 'awskms:///alias/proxy?context_tenant=b', by: other });
  await expect(again()).rejects.toMatchObject({ code: 'key_wrong_context' });
});
