// AWS KMS as the wrapping key: GenerateDataKey and Decrypt.
import { KeyholeError, type KeyholeErrorCode } from '../../errors.js';
import { namespaceTemplate } from '../key-template.js';
import { aClient, assertOptions, isRecord, optional, someText, type Forms } from '../options.js';
import type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from '../wrapping-key.js';
import { bareError } from './bare-error.js';
import { retryAfterMs } from './retry-after.js';

/** The two calls we make, as `KMS` of `@aws-sdk/client-kms` has them. */
export interface AwsKmsClient {
  generateDataKey(
    input: { KeyId: string; KeySpec: 'AES_256'; EncryptionContext?: Record<string, string> },
    options: { abortSignal: AbortSignal },
  ): Promise<{
    KeyId?: string | undefined;
    Plaintext?: Uint8Array | undefined;
    CiphertextBlob?: Uint8Array | undefined;
  }>;
  decrypt(
    input: { KeyId: string; CiphertextBlob: Uint8Array; EncryptionContext?: Record<string, string> },
    options: { abortSignal: AbortSignal },
  ): Promise<{ KeyId?: string | undefined; Plaintext?: Uint8Array | undefined }>;
}

/** The pair of the encryption context that carries the namespace; IAM policies may demand it. */
export const NAMESPACE_CONTEXT = 'temporal-namespace';

const OPTIONS: Forms<Parameters<typeof awsKms>[0]> = {
  client: aClient('a KMS of @aws-sdk/client-kms', 'generateDataKey', 'decrypt'),
  key: optional(someText('an ARN, a key id or an alias')),
  foreignContext: optional({
    words: 'an object of texts',
    fits: (value) => isRecord(value) && Object.values(value).every((text) => typeof text === 'string'),
  }),
};

const KEY_ARN = /^arn:[^:]+:kms:[^:]*:\d{12}:key\/[A-Za-z0-9-]+$/;

/**
 * Wrapping keys in AWS KMS, one a namespace.
 *
 * @param client - `new KMS({…})` of `@aws-sdk/client-kms`. Give it `maxAttempts: 1` and a request time-out with
 * `throwOnRequestTimeout: true`: retries are ours.
 * @param key - an ARN, a key id, or an alias; `{namespace}` stands for the namespace with `_` for each `.`.
 * Default is `alias/{namespace}`.
 * @param foreignContext - the encryption context of data keys that bind no namespace and were wrapped by another
 * program (temporal-proxy). Default is none.
 * @throws TypeError for options that cannot be right.
 */
export function awsKms(options: {
  client: AwsKmsClient;
  key?: string;
  foreignContext?: Readonly<Record<string, string>>;
}): (namespace: string) => WrappingKey {
  assertOptions('awsKms', options, OPTIONS);
  const { client, key = 'alias/{namespace}', foreignContext } = options;
  const nameOf = namespaceTemplate(key);
  return (namespace) => new AwsKmsWrappingKey(client, nameOf(namespace), foreignContext);
}

class AwsKmsWrappingKey implements WrappingKey {
  readonly provider = 'aws-kms';
  readonly name: string;
  readonly #client: AwsKmsClient;
  readonly #foreignContext: Readonly<Record<string, string>> | undefined;

  constructor(client: AwsKmsClient, name: string, foreignContext?: Readonly<Record<string, string>>) {
    this.#client = client;
    this.name = name;
    this.#foreignContext = foreignContext;
  }

  holds(keyId: string): 'yes' | 'maybe' | 'no' {
    if (!isKeyArn(keyId)) return 'no';
    if (this.name.startsWith('alias/') || this.name.includes(':alias/')) return 'maybe';
    if (this.name.startsWith('arn:')) return sameKey(this.name, keyId) ? 'yes' : 'no';
    return keyId.endsWith(`:key/${this.name}`) ? 'yes' : 'no';
  }

  identityOf(keyId: string): string {
    return isMultiRegion(keyId) ? withoutRegion(keyId) : keyId;
  }

  async generateDataKey({ namespace, signal }: KeyContext): Promise<GeneratedDataKey> {
    const input = { KeyId: this.name, KeySpec: 'AES_256' as const, ...this.#encryptionContext(namespace) };
    const { KeyId, Plaintext, CiphertextBlob } = await this.#asked(
      this.#client.generateDataKey(input, { abortSignal: signal }),
    );
    if (!isKeyArn(KeyId) || !isBytes(Plaintext) || !isBytes(CiphertextBlob)) {
      if (isBytes(Plaintext)) Plaintext.fill(0);
      throw new KeyholeError(
        'key_answer_invalid',
        `AWS KMS answered GenerateDataKey for ${this.name} without a key ARN or data key`,
      );
    }
    return { keyId: KeyId, plaintext: Plaintext, wrapped: CiphertextBlob };
  }

  /** Decrypt names the configured key, never the one a payload names; the answer must name the payload's. */
  async unwrap(
    wrapped: Uint8Array,
    keyId: string | null,
    { namespace, signal }: KeyContext,
  ): Promise<UnwrappedDataKey> {
    const input = { KeyId: this.name, CiphertextBlob: wrapped, ...this.#encryptionContext(namespace) };
    const { KeyId, Plaintext } = await this.#asked(this.#client.decrypt(input, { abortSignal: signal }));
    if (!isKeyArn(KeyId) || !isBytes(Plaintext)) {
      if (isBytes(Plaintext)) Plaintext.fill(0);
      throw new KeyholeError(
        'key_answer_invalid',
        `AWS KMS answered Decrypt for ${this.name} without a key ARN or data key`,
      );
    }
    if (keyId !== null && !sameKey(KeyId, keyId)) {
      Plaintext.fill(0);
      throw new KeyholeError('key_wrong', `the payload's data key was not wrapped by ${this.name}`);
    }
    return { keyId: KeyId, plaintext: Plaintext };
  }

  #encryptionContext(namespace: string | null): { EncryptionContext?: Record<string, string> } {
    if (namespace !== null) return { EncryptionContext: { [NAMESPACE_CONTEXT]: namespace } };
    return this.#foreignContext === undefined ? {} : { EncryptionContext: { ...this.#foreignContext } };
  }

  async #asked<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      const name = error instanceof Error ? error.name : 'an unknown error';
      throw new KeyholeError(codeOf(name), `AWS KMS answered ${name} for ${this.name}`, {
        cause: bareError(error),
        retryAfterMs: retryAfterOf(error),
      });
    }
  }
}

/** The SDK hands over what JSON said, whatever its types promise. */
function isBytes(bytes: Uint8Array | undefined): bytes is Uint8Array {
  return bytes instanceof Uint8Array;
}

function isKeyArn(keyId: string | undefined): keyId is string {
  return typeof keyId === 'string' && KEY_ARN.test(keyId);
}

/** The same key, or its replica in another Region (multi-Region keys: the id begins with `mrk-`). */
function sameKey(a: string, b: string): boolean {
  return a === b || (isMultiRegion(a) && withoutRegion(a) === withoutRegion(b));
}

function isMultiRegion(arn: string): boolean {
  return arn.includes(':key/mrk-');
}

function withoutRegion(arn: string): string {
  return arn.split(':').toSpliced(3, 1).join(':');
}

/** AWS KMS API reference, errors of Decrypt and GenerateDataKey, and the common errors. */
function codeOf(name: string): KeyholeErrorCode {
  switch (name) {
    case 'AccessDeniedException':
    case 'InvalidKeyUsageException':
    case 'InvalidGrantTokenException':
      return 'key_denied';
    case 'DisabledException':
    case 'KMSInvalidStateException':
    case 'NotFoundException':
      return 'key_gone';
    case 'IncorrectKeyException':
      return 'key_wrong';
    case 'InvalidCiphertextException':
    case 'ValidationException':
      return 'key_wrong_context';
    case 'ThrottlingException':
    case 'LimitExceededException':
    case 'TooManyRequestsException':
      return 'key_throttled';
    default:
      return 'key_unavailable';
  }
}

function retryAfterOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$response' in error)) return undefined;
  const response = error.$response as { headers?: Record<string, string> } | undefined;
  return retryAfterMs(response?.headers?.['retry-after']);
}
