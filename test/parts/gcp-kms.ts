// Our stand-in for Google Cloud KMS: Encrypt and Decrypt over gRPC, from the protos inside the SDK.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, dirname } from 'node:path';
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type handleUnaryCall,
  type MethodDefinition,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import type { Certificates } from '../../src/dev/certificates.js';
import { crc32c } from '../../src/keys/providers/crc32c.js';
import type { Stoppable } from './spawn-part.js';

/** What is answered in place of the right answer. */
export type GcpConduct =
  | 'pass'
  | 'silent'
  | { readonly code: status; readonly retryAfterSeconds?: number }
  /** Changes what would be answered. */
  | ((answer: Answer) => Answer);

export type Answer = Readonly<Record<string, unknown>>;

export interface GcpKmsStandIn extends Stoppable {
  readonly port: number;
  readonly requests: () => number;
  conduct: GcpConduct;
  /** Makes a key with one version; answers its resource name. */
  readonly createKey: (id: string) => string;
  /** A further version becomes the primary one. */
  readonly rotate: (key: string) => void;
  readonly disable: (key: string, version: number) => void;
  readonly remove: (key: string) => void;
  /** Encrypts under the primary version, past the SDK. */
  readonly encrypt: (
    key: string,
    plaintext: Uint8Array,
    associated: Uint8Array,
  ) => { name: string; ciphertext: Buffer };
}

interface Version {
  readonly secret: Buffer;
  enabled: boolean;
}

/** A refusal as gRPC carries it. */
class Refusal extends Error {
  readonly code: status;
  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

const RING = 'projects/test/locations/global/keyRings/keyhole';

/** @param tls - certificate and key; without them it speaks in clear. */
export async function startGcpKms(tls?: Pick<Certificates, 'cert' | 'key'>): Promise<GcpKmsStandIn> {
  const keys = new Map<string, Version[]>();
  let requests = 0;

  const versionsOf = (name: string): Version[] => {
    const versions = keys.get(name);
    if (versions === undefined) throw new Refusal(status.NOT_FOUND, `CryptoKey ${name} not found.`);
    return versions;
  };
  const encrypt: GcpKmsStandIn['encrypt'] = (key, plaintext, associated) => {
    const versions = versionsOf(key);
    const number = versions.length;
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', secretOf(versions, number), nonce).setAAD(associated);
    const sealed = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
    return {
      name: `${key}/cryptoKeyVersions/${number}`,
      ciphertext: Buffer.concat([Buffer.of(number), nonce, ...sealed]),
    };
  };
  const decrypt = (key: string, ciphertext: Buffer, associated: Uint8Array): Buffer => {
    const secret = secretOf(versionsOf(key), ciphertext[0] ?? 0);
    try {
      const tag = { authTagLength: 16 };
      const decipher = createDecipheriv('aes-256-gcm', secret, ciphertext.subarray(1, 13), tag).setAAD(
        associated,
      );
      decipher.setAuthTag(ciphertext.subarray(-16));
      return Buffer.concat([decipher.update(ciphertext.subarray(13, -16)), decipher.final()]);
    } catch {
      throw new Refusal(status.INVALID_ARGUMENT, 'Decryption failed: the ciphertext is invalid.');
    }
  };

  const handlers = {
    Encrypt: unary((asked) => {
      const [plaintext, associated] = [bytesOf(asked, 'plaintext'), bytesOf(asked, ASSOCIATED)];
      const { name, ciphertext } = encrypt(String(asked['name']), plaintext, associated);
      return {
        name,
        ciphertext,
        ciphertextCrc32c: { value: crc32c(ciphertext) },
        verifiedPlaintextCrc32c: assertChecksum(asked, 'plaintext', plaintext),
        verifiedAdditionalAuthenticatedDataCrc32c: assertChecksum(asked, ASSOCIATED, associated),
      };
    }),
    Decrypt: unary((asked) => {
      const [ciphertext, associated] = [bytesOf(asked, 'ciphertext'), bytesOf(asked, ASSOCIATED)];
      assertChecksum(asked, 'ciphertext', ciphertext);
      assertChecksum(asked, ASSOCIATED, associated);
      const plaintext = decrypt(String(asked['name']), ciphertext, associated);
      return { plaintext, plaintextCrc32c: { value: crc32c(plaintext) } };
    }),
  };
  const server = new Server();
  server.addService(SERVICE, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentialsFor(tls), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const standIn: GcpKmsStandIn = {
    port,
    requests: () => requests,
    conduct: 'pass',
    createKey: (id) => {
      const name = `${RING}/cryptoKeys/${id}`;
      keys.set(name, [freshVersion()]);
      return name;
    },
    rotate: (key) => versionsOf(key).push(freshVersion()),
    disable: (key, number) => {
      const version = versionsOf(key)[number - 1];
      if (version !== undefined) version.enabled = false;
    },
    remove: (key) => keys.delete(key),
    encrypt,
    stop: () => {
      server.forceShutdown();
      return Promise.resolve();
    },
  };
  return standIn;

  function unary(answer: (asked: Answer) => Answer): handleUnaryCall<Answer, Answer> {
    return ({ request }, callback) => {
      requests += 1;
      const { conduct } = standIn;
      if (conduct === 'silent') return;
      if (typeof conduct === 'object') {
        callback({ code: conduct.code, details: 'as the test wants it', metadata: trailers(conduct) });
        return;
      }
      try {
        callback(null, typeof conduct === 'function' ? conduct(answer(request)) : answer(request));
      } catch (error) {
        const code = error instanceof Refusal ? error.code : status.INTERNAL;
        callback({ code, details: String(error), metadata: new Metadata() });
      }
    };
  }
}

function credentialsFor(tls: Pick<Certificates, 'cert' | 'key'> | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  return ServerCredentials.createSsl(null, [pair]);
}

function freshVersion(): Version {
  return { secret: randomBytes(32), enabled: true };
}

function secretOf(versions: readonly Version[], number: number): Buffer {
  const version = versions[number - 1];
  if (version === undefined)
    throw new Refusal(status.INVALID_ARGUMENT, 'Decryption failed: the ciphertext is invalid.');
  if (!version.enabled) throw new Refusal(status.FAILED_PRECONDITION, 'the CryptoKeyVersion is not enabled');
  return version.secret;
}

const ASSOCIATED = 'additionalAuthenticatedData';

function bytesOf(asked: Answer, field: string): Buffer {
  return Buffer.from((asked[field] as Uint8Array | undefined) ?? []);
}

/** Whether a checksum was sent; a wrong one is refused. */
function assertChecksum(asked: Answer, field: string, bytes: Uint8Array): boolean {
  const sent = asked[`${field}Crc32c`] as { value: string } | undefined;
  if (sent !== undefined && sent.value !== String(crc32c(bytes)))
    throw new Refusal(status.INVALID_ARGUMENT, `the checksum of ${field} does not match`);
  return sent !== undefined;
}

const sdk = dirname(createRequire(import.meta.url).resolve('@google-cloud/kms/package.json'));
const root = protobuf.Root.fromJSON(
  JSON.parse(readFileSync(join(sdk, 'build/protos/protos.json'), 'utf8')) as protobuf.INamespace,
);
const SERVICE = { Encrypt: method('Encrypt'), Decrypt: method('Decrypt') };

function method(name: 'Encrypt' | 'Decrypt'): MethodDefinition<Answer, Answer> {
  const package_ = 'google.cloud.kms.v1';
  const [asked, answered] = ['Request', 'Response'].map((kind) =>
    root.lookupType(`${package_}.${name}${kind}`),
  );
  const write = (type: protobuf.Type | undefined) => (message: object) =>
    Buffer.from(type?.encode(type.fromObject(message)).finish() ?? []);
  const read = (type: protobuf.Type | undefined) => (bytes: Buffer) =>
    type?.toObject(type.decode(bytes), { longs: String }) ?? {};
  return {
    path: `/${package_}.KeyManagementService/${name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: write(asked),
    requestDeserialize: read(asked),
    responseSerialize: write(answered),
    responseDeserialize: read(answered),
  };
}

/** google.rpc.RetryInfo, as gRPC carries a status's details. */
function trailers({ code, retryAfterSeconds }: { code: status; retryAfterSeconds?: number }): Metadata {
  const metadata = new Metadata();
  if (retryAfterSeconds === undefined) return metadata;
  const rpc = protobuf.parse(`syntax = "proto3";
    message Duration { int64 seconds = 1; int32 nanos = 2; }
    message RetryInfo { Duration retry_delay = 1; }`).root;
  const info = rpc.lookupType('RetryInfo');
  const value = info.encode(info.fromObject({ retryDelay: { seconds: retryAfterSeconds } })).finish();
  const type = root.lookupType('google.rpc.Status');
  const details = [{ type_url: 'type.googleapis.com/google.rpc.RetryInfo', value }];
  const bytes = type.encode(type.fromObject({ code, message: 'slow down', details })).finish();
  metadata.add('grpc-status-details-bin', Buffer.from(bytes));
  return metadata;
}
