// Writes a file of golden vectors once: `npx tsx test/vectors/write.ts`; an existing file is never touched.
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import proto from '@temporalio/proto';

// Deliberately not the product's code: built from docs/format.md with node:crypto and protobufjs.
const { Payload } = proto.temporal.api.common.v1;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function u16(text: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}

function gcm(key: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function wrapLocal(secret: Uint8Array, dataKey: Uint8Array, keyId: string, namespace: string | null): Buffer {
  const bound = namespace === null ? Buffer.of(0) : Buffer.concat([Buffer.of(1), u16(namespace)]);
  return gcm(secret, dataKey, Buffer.concat([Buffer.from('temporal-keyhole local/v1'), u16(keyId), bound]));
}

interface Case {
  readonly name: string;
  readonly payload: Sealed;
  readonly [field: string]: unknown;
}

interface Sealed {
  metadata: Record<string, string>;
  data: string;
}

const encode = (text: string): string => base64(Buffer.from(text));

function keyholeV1(name: string, message: Uint8Array, keyId = 'team-key', namespace = 'orders.a1b2c'): Case {
  const secret = randomBytes(32);
  const dataKey = randomBytes(32);
  const info = Buffer.concat([Buffer.from('temporal-keyhole keyhole/v1'), u16(namespace), u16(keyId)]);
  const derived = Buffer.from(hkdfSync('sha512', dataKey, '', info, 64));
  const [sealingKey, commitment] = [derived.subarray(0, 32), derived.subarray(32)];
  return {
    name,
    namespace,
    keyId,
    secret: base64(secret),
    dataKey: base64(dataKey),
    sealingKey: base64(sealingKey),
    commitment: base64(commitment),
    plaintext: base64(message),
    payload: {
      metadata: {
        encoding: encode('binary/encrypted'),
        'encryption-format': encode('keyhole/v1'),
        'encryption-key-id': encode(keyId),
        'encryption-namespace': encode(namespace),
        'encryption-data-key': base64(wrapLocal(secret, dataKey, keyId, namespace)),
        'encryption-commitment': base64(commitment),
      },
      data: base64(gcm(sealingKey, message, Buffer.from('keyhole/v1'))),
    },
  };
}

function encryptionJwt(name: string, message: Uint8Array): Case {
  const [secret, dataKey] = [randomBytes(32), randomBytes(32)];
  const wrapped = wrapLocal(secret, dataKey, 'team-key', null);
  return {
    name,
    namespace: 'orders.a1b2c',
    keyId: 'team-key',
    secret: base64(secret),
    dataKey: base64(dataKey),
    plaintext: base64(message),
    payload: {
      metadata: { encoding: encode('binary/encrypted'), data_key_encrypted: encode(base64(wrapped)) },
      data: base64(gcm(dataKey, message, new Uint8Array(0))),
    },
  };
}

function refused(valid: Case, name: string, refusal: string, change: (payload: Sealed) => void): object {
  const copy = structuredClone(valid);
  change(copy.payload);
  return { ...copy, name, refused: refusal };
}

function flipped(text: string | undefined, at: number): string {
  const bytes = Buffer.from(text ?? '', 'base64');
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return base64(bytes);
}

const messages = {
  'a JSON string': Payload.encode({ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"Hello, Temporal"') }).finish(),
  'an empty payload': Payload.encode({}).finish(),
  'an external payload': Payload.encode({
    metadata: { encoding: Buffer.from('json/plain'), 'x-key': Buffer.from([0, 255, 1]) },
    data: Buffer.from('{"ä":1}'),
    externalPayloads: [{ sizeBytes: proto.temporal.api.common.v1.Payload.ExternalPayloadDetails.fromObject({ sizeBytes: '9007199254740993' }).sizeBytes }],
  }).finish(),
};

function once(file: string, cases: () => object[]): void {
  const path = new URL(file, import.meta.url);
  if (existsSync(path)) process.stdout.write(`${file} is there already; vectors are only ever added by hand\n`);
  else writeFileSync(path, `${JSON.stringify({ origin: 'test/vectors/write.ts, from docs/format.md', cases: cases() }, null, 2)}\n`);
}

once('keyhole-v1.json', () => {
  const valid = Object.entries(messages).map(([name, message]) => keyholeV1(name, message));
  const longest = keyholeV1('the longest key id and namespace', messages['a JSON string'], 'k'.repeat(64), 'n'.repeat(255));
  const base = keyholeV1('base', messages['a JSON string']);
  const set = (key: string, value: string) => (payload: Sealed) => {
    payload.metadata[key] = value;
  };
  const flip = (key: string) => (payload: Sealed) => {
    payload.metadata[key] = flipped(payload.metadata[key], 0);
  };
  return [
    ...valid,
    longest,
    refused(base, 'a changed commitment', 'commitment', flip('encryption-commitment')),
    refused(base, 'a short commitment', 'commitment', set('encryption-commitment', base64(Buffer.alloc(31)))),
    refused(base, 'a changed wrapped data key', 'data key', flip('encryption-data-key')),
    refused(base, 'another namespace', 'namespace', set('encryption-namespace', encode('billing.a1b2c'))),
    refused(base, 'an impossible namespace', 'namespace', set('encryption-namespace', encode('../orders'))),
    refused(base, 'another key id', 'key id', set('encryption-key-id', encode('other-key'))),
    refused(base, 'a second mark', 'marks', set('data_key_encrypted', encode('AAAA'))),
    refused(base, 'an unknown version', 'format', set('encryption-format', encode('keyhole/v2'))),
    refused(base, 'a changed nonce', 'tag', (payload) => (payload.data = flipped(payload.data, 0))),
    refused(base, 'a changed ciphertext', 'tag', (payload) => (payload.data = flipped(payload.data, 12))),
    refused(base, 'a changed tag', 'tag', (payload) => (payload.data = flipped(payload.data, -1))),
    refused(base, 'a tag of 15 bytes', 'tag', (payload) => (payload.data = base64(Buffer.from(payload.data, 'base64').subarray(0, -1)))),
    refused(base, 'no data', 'length', (payload) => (payload.data = '')),
    refused(base, 'data of 27 bytes', 'length', (payload) => (payload.data = base64(randomBytes(27)))),
  ];
});

once('encryption-jwt.json', () => {
  const base = encryptionJwt('base', messages['a JSON string']);
  return [
    ...Object.entries(messages).map(([name, message]) => encryptionJwt(name, message)),
    refused(base, 'a changed tag', 'tag', (payload) => (payload.data = flipped(payload.data, -1))),
    refused(base, 'a data key in base64url', 'marks', (payload) => (payload.metadata['data_key_encrypted'] = encode('-_-_'))),
    refused(base, 'a second mark', 'marks', (payload) => (payload.metadata['encryption-key-id'] = encode('x'))),
  ];
});
