// What sealing and opening is measured against: the floor, the official sample's shape, the AWS Encryption SDK, and ours.
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  randomBytes,
  randomFillSync,
  webcrypto,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import type { Payload } from '@temporalio/common';
import { EncryptionCodec, LocalWrappingKey } from './built.js';

/** Seals a payload, and opens what it sealed; a live data key is at hand for both. */
export interface Contender {
  readonly name: string;
  seal(payload: Payload): Promise<unknown>;
  open(sealed: unknown): Promise<unknown>;
}

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function keyhole(): Contender {
  const keys = new LocalWrappingKey([{ id: 'bench', secret: randomBytes(32) }]);
  const codec = new EncryptionCodec({ namespace: 'bench.a1b2c', keys });
  return {
    name: 'keyhole/v1',
    seal: (payload) => codec.encode([payload]),
    open: (sealed) => codec.decode(sealed as Payload[]),
  };
}

/** AES-256-GCM of `node:crypto` over the payload's data alone: nonce ‖ ciphertext ‖ tag in one buffer, and back. */
export function floor(): Contender {
  const key = createSecretKey(randomBytes(32));
  const seal = (plaintext: Uint8Array): Uint8Array => {
    const sealed = Buffer.allocUnsafe(NONCE_BYTES + plaintext.length + TAG_BYTES);
    const nonce = randomFillSync(sealed.subarray(0, NONCE_BYTES));
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    sealed.set(cipher.update(plaintext), NONCE_BYTES);
    cipher.final();
    sealed.set(cipher.getAuthTag(), sealed.length - TAG_BYTES);
    return sealed;
  };
  const open = (sealed: Uint8Array): Uint8Array => {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const plaintext = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    decipher.final();
    return plaintext;
  };
  return {
    name: 'floor',
    seal: ({ data }) => Promise.resolve(seal(data ?? new Uint8Array(0))),
    open: (sealed) => Promise.resolve(open(sealed as Uint8Array)),
  };
}

/** The shape of the official TypeScript sample: webcrypto, one payload at a time, protobufjs for the inner payload. */
export async function sample(): Promise<Contender> {
  const { subtle } = webcrypto;
  const key = await subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const algorithm = (iv: Uint8Array<ArrayBuffer>) => ({ name: 'AES-GCM', iv, tagLength: 128 });
  return {
    name: 'sample shape',
    seal: async (payload) => {
      const iv = webcrypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const plaintext = new Uint8Array(PayloadMessage.encode(payload).finish());
      const sealed = await subtle.encrypt(algorithm(iv), key, plaintext);
      const data = new Uint8Array(NONCE_BYTES + sealed.byteLength);
      data.set(iv);
      data.set(new Uint8Array(sealed), NONCE_BYTES);
      return data;
    },
    open: async (sealed) => {
      const data = new Uint8Array(sealed as Uint8Array);
      const iv = data.subarray(0, NONCE_BYTES);
      const plaintext = await subtle.decrypt(algorithm(iv), key, data.subarray(NONCE_BYTES));
      return PayloadMessage.decode(new Uint8Array(plaintext));
    },
  };
}

const SDK = '@aws-crypto/client-node';
const SDK_VERSION = '5.0.2';

/** What we call of the AWS Encryption SDK. It is no dependency of ours, so its types are not there. */
interface EncryptionSdk {
  buildClient(policy: unknown): {
    encrypt: (materials: unknown, plaintext: Uint8Array, options: object) => Promise<{ result: Uint8Array }>;
    decrypt: (materials: unknown, sealed: Uint8Array) => Promise<{ plaintext: Uint8Array }>;
  };
  readonly CommitmentPolicy: { readonly REQUIRE_ENCRYPT_REQUIRE_DECRYPT: unknown };
  readonly AlgorithmSuiteIdentifier: {
    readonly ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY: unknown;
  };
  readonly RawAesWrappingSuiteIdentifier: { readonly AES256_GCM_IV12_TAG16_NO_PADDING: unknown };
  readonly RawAesKeyringNode: new (options: object) => unknown;
  readonly NodeCachingMaterialsManager: new (options: object) => unknown;
  getLocalCryptographicMaterialsCache(entries: number): unknown;
}

/**
 * The AWS Encryption SDK for JavaScript with a caching materials manager, its committing suite without signatures, and
 * a local wrapping key. `undefined`, with a line that says how to install it, where it is not there.
 */
export function encryptionSdk(): Contender | undefined {
  const folder = join(homedir(), '.cache', 'temporal-keyhole', `aws-encryption-sdk-${SDK_VERSION}`);
  if (!existsSync(join(folder, 'node_modules', SDK))) {
    process.stdout.write(
      `without the AWS Encryption SDK: npm install --prefix ${folder} ${SDK}@${SDK_VERSION}\n`,
    );
    return undefined;
  }
  const sdk = createRequire(join(folder, 'package.json'))(SDK) as EncryptionSdk;
  const { encrypt, decrypt } = sdk.buildClient(sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const backingMaterials = new sdk.RawAesKeyringNode({
    keyName: 'bench',
    keyNamespace: 'keyhole',
    unencryptedMasterKey: randomBytes(32),
    wrappingSuite: sdk.RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const materials = new sdk.NodeCachingMaterialsManager({
    backingMaterials,
    cache: sdk.getLocalCryptographicMaterialsCache(100),
    maxAge: 900_000,
    maxMessagesEncrypted: 2 ** 20,
  });
  const suiteId = sdk.AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
  const encryptionContext = { namespace: 'bench.a1b2c' };
  return {
    name: 'AWS Encryption SDK',
    seal: async (payload) => {
      const plaintext = PayloadMessage.encode(payload).finish();
      const options = { suiteId, encryptionContext, plaintextLength: plaintext.length };
      return (await encrypt(materials, plaintext, options)).result;
    },
    open: async (sealed) => PayloadMessage.decode((await decrypt(materials, sealed as Uint8Array)).plaintext),
  };
}
