// Google Cloud KMS as the wrapping key: a data key of ours, Encrypt and Decrypt, every checksum checked.
import { untilAborted } from '../../aborting.js';
import { KeyholeError, type KeyholeErrorCode } from '../../errors.js';
import { namespaceTemplate } from '../key-template.js';
import { aClient, assertOptions, milliseconds, optional, someText, type Forms } from '../options.js';
import type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from '../wrapping-key.js';
import { bareError } from './bare-error.js';
import { crc32c } from './crc32c.js';
import { freshDataKey } from './fresh-data-key.js';

/** The three calls we make, as `KeyManagementServiceClient` of `@google-cloud/kms` has them. */
export interface GcpKmsClient {
  /** Finds the credentials. Without it, a call that finds none leaves a rejection that nobody can handle. */
  initialize(): Promise<unknown>;
  encrypt(
    request: GcpRequest & { name: string; plaintext: Uint8Array; plaintextCrc32c: GcpChecksum },
    options: GcpCallOptions,
  ): Promise<[GcpEncrypted, ...unknown[]]>;
  decrypt(
    request: GcpRequest & { name: string; ciphertext: Uint8Array; ciphertextCrc32c: GcpChecksum },
    options: GcpCallOptions,
  ): Promise<[GcpDecrypted, ...unknown[]]>;
}

interface GcpChecksum {
  value: number;
}

interface GcpRequest {
  additionalAuthenticatedData?: Uint8Array;
  additionalAuthenticatedDataCrc32c?: GcpChecksum;
}

interface GcpCallOptions {
  timeout: number;
  retry: { retryCodes: number[] };
}

interface GcpEncrypted {
  name?: string | null;
  ciphertext?: Uint8Array | string | null;
  ciphertextCrc32c?: { value?: unknown } | null;
  verifiedPlaintextCrc32c?: boolean | null;
  verifiedAdditionalAuthenticatedDataCrc32c?: boolean | null;
}

interface GcpDecrypted {
  plaintext?: Uint8Array | string | null;
  plaintextCrc32c?: { value?: unknown } | null;
}

const OPTIONS: Forms<Parameters<typeof gcpKms>[0]> = {
  client: aClient('a KeyManagementServiceClient of @google-cloud/kms', 'initialize', 'encrypt', 'decrypt'),
  key: someText('the resource name of a key'),
  timeoutMs: optional(milliseconds()),
};

const KEY_NAME =
  /^projects\/[\w.:-]+\/locations\/[\w-]+\/keyRings\/[\w-]{1,63}\/cryptoKeys\/(?:[\w-]|\{namespace\}){1,63}$/;
const VERSION = /^[1-9]\d{0,9}$/;

/**
 * Wrapping keys in Google Cloud KMS, one a namespace.
 *
 * @param client - `new KeyManagementServiceClient({…})` of `@google-cloud/kms`; whoever made it closes it.
 * @param key - the resource name of a symmetric key, without a version; `{namespace}` stands for the namespace with
 * `_` for each `.`.
 * @param timeoutMs - how long one call may take. Default is 2000.
 * @throws TypeError for options that cannot be right.
 */
export function gcpKms(options: {
  client: GcpKmsClient;
  key: string;
  timeoutMs?: number;
}): (namespace: string) => WrappingKey {
  assertOptions('gcpKms', options, OPTIONS);
  const { client, key, timeoutMs = 2_000 } = options;
  if (!KEY_NAME.test(key))
    throw new TypeError(
      'a Google Cloud KMS key is named projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version',
    );
  const nameOf = namespaceTemplate(key);
  return (namespace) => new GcpKmsWrappingKey(client, nameOf(namespace), timeoutMs);
}

/** The namespace is the additional authenticated data: its bytes and nothing else; none where none is bound. */
class GcpKmsWrappingKey implements WrappingKey {
  readonly provider = 'gcp-kms';
  readonly name: string;
  readonly #client: GcpKmsClient;
  readonly #timeoutMs: number;

  constructor(client: GcpKmsClient, name: string, timeoutMs: number) {
    this.#client = client;
    this.name = name;
    this.#timeoutMs = timeoutMs;
  }

  /** Every version of the key is the key: KMS finds the one that a ciphertext needs. */
  holds(keyId: string): 'yes' | 'no' {
    const versions = `${this.name}/cryptoKeyVersions/`;
    return keyId.startsWith(versions) && VERSION.test(keyId.slice(versions.length)) ? 'yes' : 'no';
  }

  identityOf(): string {
    return this.name;
  }

  generateDataKey({ namespace, signal }: KeyContext): Promise<GeneratedDataKey> {
    return freshDataKey(async (plaintext) => {
      const request = {
        name: this.name,
        plaintext,
        plaintextCrc32c: { value: crc32c(plaintext) },
        ...boundTo(namespace),
      };
      const answer = await this.#asked('Encrypt', signal, (options) =>
        this.#client.encrypt(request, options),
      );
      return { keyId: this.#versionIn(answer, namespace), wrapped: this.#ciphertextIn(answer) };
    });
  }

  /** Decrypt names the configured key. Its answer names none: what binds is the key itself. */
  async unwrap(
    wrapped: Uint8Array,
    keyId: string | null,
    { namespace, signal }: KeyContext,
  ): Promise<UnwrappedDataKey> {
    if (keyId !== null && this.holds(keyId) === 'no')
      throw new KeyholeError('key_wrong', `the payload's data key was not wrapped by ${this.name}`);
    const request = {
      name: this.name,
      ciphertext: wrapped,
      ciphertextCrc32c: { value: crc32c(wrapped) },
      ...boundTo(namespace),
    };
    const answer = await this.#asked('Decrypt', signal, (options) => this.#client.decrypt(request, options));
    return { keyId: keyId ?? this.name, plaintext: this.#plaintextIn(answer) };
  }

  #versionIn(answer: GcpEncrypted, namespace: string | null): string {
    const { name, verifiedPlaintextCrc32c, verifiedAdditionalAuthenticatedDataCrc32c } = answer;
    if (verifiedPlaintextCrc32c !== true)
      throw this.#invalid('Encrypt', 'without having checked the data key');
    if (namespace !== null && verifiedAdditionalAuthenticatedDataCrc32c !== true)
      throw this.#invalid('Encrypt', 'without having checked the namespace');
    if (typeof name !== 'string' || this.holds(name) === 'no')
      throw this.#invalid('Encrypt', 'without a version of that key');
    return name;
  }

  #ciphertextIn({ ciphertext, ciphertextCrc32c }: GcpEncrypted): Uint8Array {
    if (ciphertext instanceof Uint8Array && isChecksumOf(ciphertext, ciphertextCrc32c)) return ciphertext;
    throw this.#invalid('Encrypt', 'with a ciphertext that was damaged on its way');
  }

  #plaintextIn({ plaintext, plaintextCrc32c }: GcpDecrypted): Uint8Array {
    if (plaintext instanceof Uint8Array && isChecksumOf(plaintext, plaintextCrc32c)) return plaintext;
    if (plaintext instanceof Uint8Array) plaintext.fill(0);
    throw this.#invalid('Decrypt', 'with a data key that was damaged on its way');
  }

  #invalid(operation: Operation, how: string): KeyholeError {
    const message = `Google Cloud KMS answered ${operation} for ${this.name} ${how}`;
    return new KeyholeError('key_answer_invalid', message);
  }

  /**
   * The SDK changes the options it is given, retries for ten minutes unless told otherwise, and knows no
   * AbortSignal: fresh options each time, no retry codes, and a race.
   */
  async #asked<T>(
    operation: Operation,
    signal: AbortSignal,
    call: (options: GcpCallOptions) => Promise<[T, ...unknown[]]>,
  ): Promise<T> {
    const asking = async (): Promise<T> => {
      await this.#client.initialize();
      signal.throwIfAborted();
      const [answer] = await call({ timeout: this.#timeoutMs, retry: { retryCodes: [] } });
      return answer;
    };
    try {
      return await untilAborted(asking(), signal);
    } catch (error) {
      const status = statusOf(error);
      const message = `Google Cloud KMS answered ${operation} for ${this.name} with ${status === undefined ? 'no status' : `status ${status}`}`;
      throw new KeyholeError(codeOf(status, operation), message, {
        cause: bareError(error),
        retryAfterMs: retryDelayMs(error),
      });
    }
  }
}

type Operation = 'Encrypt' | 'Decrypt';

function boundTo(namespace: string | null): GcpRequest {
  if (namespace === null) return {};
  const additionalAuthenticatedData = Buffer.from(namespace);
  return {
    additionalAuthenticatedData,
    additionalAuthenticatedDataCrc32c: { value: crc32c(additionalAuthenticatedData) },
  };
}

/** An Int64Value arrives as a string, a number or a Long. */
function isChecksumOf(bytes: Uint8Array, checksum: { value?: unknown } | null | undefined): boolean {
  return String(checksum?.value) === String(crc32c(bytes));
}

function statusOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/**
 * google.rpc.Code, and what Cloud KMS means by it: FAILED_PRECONDITION is a version that is disabled, destroyed or
 * about to be; INVALID_ARGUMENT a ciphertext or additional data that does not fit, or a key of another purpose.
 */
function codeOf(status: number | undefined, operation: Operation): KeyholeErrorCode {
  switch (status) {
    case 3: // INVALID_ARGUMENT
      return operation === 'Decrypt' ? 'key_wrong_context' : 'key_denied';
    case 5: // NOT_FOUND
    case 9: // FAILED_PRECONDITION
      return 'key_gone';
    case 7: // PERMISSION_DENIED
    case 16: // UNAUTHENTICATED
      return 'key_denied';
    case 8: // RESOURCE_EXHAUSTED
      return 'key_throttled';
    default:
      return 'key_unavailable';
  }
}

/** google.rpc.RetryInfo among the status's details, as the SDK decodes it. */
function retryDelayMs(error: unknown): number | undefined {
  const details: unknown =
    error instanceof Error && 'statusDetails' in error ? error.statusDetails : undefined;
  if (!Array.isArray(details)) return undefined;
  for (const detail of details as { retryDelay?: { seconds?: unknown; nanos?: unknown } | null }[]) {
    const ms = Number(detail.retryDelay?.seconds ?? NaN) * 1000 + Number(detail.retryDelay?.nanos ?? 0) / 1e6;
    if (Number.isFinite(ms) && ms >= 0) return ms;
  }
  return undefined;
}
