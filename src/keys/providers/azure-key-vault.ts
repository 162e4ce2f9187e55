// An RSA key in Azure Key Vault as the wrapping key: a data key of ours, wrapKey and unwrapKey with RSA-OAEP-256.
import { untilAborted } from '../../aborting.js';
import { KeyholeError, type KeyholeErrorCode } from '../../errors.js';
import { DATA_KEY_BYTES } from '../data-key.js';
import { isNamespaceTemplate, namespaceTemplate } from '../key-template.js';
import {
  aClient,
  aFunction,
  assertOptions,
  milliseconds,
  optional,
  someText,
  type Forms,
} from '../options.js';
import type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from '../wrapping-key.js';
import { bareError } from './bare-error.js';
import { freshDataKey } from './fresh-data-key.js';
import { retryAfterMs } from './retry-after.js';

/** The one call we make of `KeyClient` of `@azure/keyvault-keys`: which version is the current one? */
export interface AzureKeyClient {
  getKey(name: string, options: AzureCallOptions): Promise<{ id?: string }>;
}

/** The two calls we make of its `CryptographyClient`. */
export interface AzureCryptographyClient {
  wrapKey(
    algorithm: 'RSA-OAEP-256',
    key: Uint8Array,
    options: AzureCallOptions,
  ): Promise<{ result: Uint8Array; keyID?: string }>;
  unwrapKey(
    algorithm: 'RSA-OAEP-256',
    encryptedKey: Uint8Array,
    options: AzureCallOptions,
  ): Promise<{ result: Uint8Array; keyID?: string }>;
}

/**
 * One version of a key, in the form of the SDK's `KeyVaultKey`. It has no dates and no public key on purpose: given
 * an id alone, the SDK fetches them and then refuses by itself what the service allows, the unwrapping with a version
 * that has expired, and judges a version for ever by what it fetched once.
 */
export interface AzureKeyVersion {
  readonly id: string;
  readonly name: string;
  readonly properties: { readonly vaultUrl: string; readonly name: string; readonly version: string };
}

interface AzureCallOptions {
  abortSignal: AbortSignal;
  requestOptions: { timeout: number };
}

export interface AzureKeyVaultOptions {
  /**
   * `https://VAULT.vault.azure.net/keys/NAME`, or one version of it. `{namespace}` stands for the namespace with `--`
   * for each `.`; it must be of lower case and without `_`, for names of keys are.
   */
  readonly key: string;
  /** `new KeyClient(vaultUrl, credential, { retryOptions: { maxRetries: 0 } })`: retries are ours. */
  readonly keyClient: AzureKeyClient;
  /** `(version) => new CryptographyClient(version, credential, { retryOptions: { maxRetries: 0 } })`. */
  readonly cryptographyClient: (version: AzureKeyVersion) => AzureCryptographyClient;
  /** How long one request may take. Default is 2000. */
  readonly timeoutMs?: number;
}

const OPTIONS: Forms<AzureKeyVaultOptions> = {
  key: someText('the address of a key'),
  keyClient: aClient('a KeyClient of @azure/keyvault-keys', 'getKey'),
  cryptographyClient: aFunction('a function from a version of the key to a CryptographyClient'),
  timeoutMs: optional(milliseconds()),
};

const ALGORITHM = 'RSA-OAEP-256';
const KEY_PATH = /^\/keys\/([A-Za-z0-9-]{1,127})(?:\/([0-9a-f]{32}))?$/;
const IN_KEY_NAME = /^[a-z0-9-]+$/;
const VERSION = /^[0-9a-f]{32}$/;
const RSA_BYTES: ReadonlySet<number> = new Set([256, 384, 512]);
/** A data key in base64. */
const DATA_KEY_TEXT_BYTES = 44;
/** Versions with a client of their own; beyond it the one that was used first gives way. */
const MAX_CLIENTS = 32;

/**
 * Wrapping keys in Azure Key Vault or a Managed HSM, one a namespace. RSA-OAEP binds no namespace, and whoever has
 * the public key can wrap (`provesOrigin: false`).
 *
 * @throws TypeError for options that cannot be right, such as a key that is not named as above.
 */
export function azureKeyVault(options: AzureKeyVaultOptions): (namespace: string) => WrappingKey {
  assertOptions('azureKeyVault', options, OPTIONS);
  const { key } = options;
  if (partsOf(key.replaceAll('{namespace}', 'x')) === undefined)
    throw new TypeError('an Azure key is named https://VAULT/keys/NAME, with or without /VERSION');
  const nameOf = namespaceTemplate(key, '--');
  return (namespace) => {
    const name = nameOf(namespace);
    const parts = partsOf(name);
    if (
      parts === undefined ||
      (isNamespaceTemplate(key) && !IN_KEY_NAME.test(namespace.replaceAll('.', '--')))
    ) {
      const message = `namespace ${namespace} cannot stand in the name of an Azure key: name its key in an entry of its own`;
      throw new KeyholeError('key_not_configured', message);
    }
    return new AzureWrappingKey(options, name, parts);
  };
}

interface KeyParts {
  readonly vaultUrl: string;
  readonly keyName: string;
  /** Undefined where the configuration names no version: the current one wraps, all unwrap. */
  readonly version: string | undefined;
}

function partsOf(key: string): KeyParts | undefined {
  const url = URL.canParse(key) ? new URL(key) : undefined;
  const path = KEY_PATH.exec(url?.pathname ?? '');
  if (url?.protocol !== 'https:' || path === null || url.origin + url.pathname !== key) return undefined;
  return { vaultUrl: url.origin, keyName: path[1] ?? '', version: path[2] };
}

class AzureWrappingKey implements WrappingKey {
  readonly provider = 'azure-key-vault';
  readonly provesOrigin = false;
  readonly name: string;
  readonly #parts: KeyParts;
  readonly #keyClient: AzureKeyClient;
  readonly #versions: VersionClients;
  readonly #timeoutMs: number;

  constructor(options: AzureKeyVaultOptions, name: string, parts: KeyParts) {
    this.name = name;
    this.#parts = parts;
    this.#keyClient = options.keyClient;
    this.#versions = new VersionClients(options.cryptographyClient);
    this.#timeoutMs = options.timeoutMs ?? 2_000;
  }

  holds(keyId: string): 'yes' | 'no' {
    return this.#versionIn(keyId) === undefined ? 'no' : 'yes';
  }

  identityOf(): string {
    return `${this.#parts.vaultUrl}/keys/${this.#parts.keyName}`;
  }

  async generateDataKey({ signal }: KeyContext): Promise<GeneratedDataKey> {
    const version = await this.#currentVersion(signal);
    return freshDataKey(async (plaintext) => {
      const wrapped = await this.#asked('wrapKey', version, signal, (client, options) =>
        client.wrapKey(ALGORITHM, plaintext, options),
      );
      return { keyId: version.id, wrapped };
    });
  }

  /** With the version that the payload names, if it is one of the configured key. One that names none is another program's. */
  async unwrap(wrapped: Uint8Array, keyId: string | null, { signal }: KeyContext): Promise<UnwrappedDataKey> {
    const version = keyId === null ? await this.#currentVersion(signal) : this.#versionIn(keyId);
    if (version === undefined)
      throw new KeyholeError('key_wrong', `the payload's data key was not wrapped by ${this.name}`);
    const blob = keyId === null ? blobIn(wrapped) : wrapped;
    const result = await this.#asked('unwrapKey', version, signal, (client, options) =>
      client.unwrapKey(ALGORITHM, blob, options),
    );
    return { keyId: version.id, plaintext: keyId === null ? dataKeyIn(result) : result };
  }

  /** `wrapKey` without a version uses the newest and does not say which: so it is asked for and named. */
  async #currentVersion(signal: AbortSignal): Promise<AzureKeyVersion> {
    if (this.#parts.version !== undefined) return this.#version(this.#parts.version);
    const options = { abortSignal: signal, requestOptions: { timeout: this.#timeoutMs } };
    const { id } = await this.#sorted('getKey', signal, this.#keyClient.getKey(this.#parts.keyName, options));
    const version = id === undefined ? undefined : this.#versionIn(id);
    if (version !== undefined) return version;
    throw new KeyholeError(
      'key_answer_invalid',
      `Azure Key Vault answered getKey for ${this.name} without a version of that key`,
    );
  }

  #versionIn(keyId: string): AzureKeyVersion | undefined {
    const { vaultUrl, keyName, version: pinned } = this.#parts;
    const versions = `${vaultUrl}/keys/${keyName}/`;
    const version = keyId.startsWith(versions) ? keyId.slice(versions.length) : '';
    return VERSION.test(version) && version === (pinned ?? version) ? this.#version(version) : undefined;
  }

  #version(version: string): AzureKeyVersion {
    const { vaultUrl, keyName: name } = this.#parts;
    return { id: `${vaultUrl}/keys/${name}/${version}`, name, properties: { vaultUrl, name, version } };
  }

  async #asked(
    operation: Operation,
    version: AzureKeyVersion,
    signal: AbortSignal,
    call: (
      client: AzureCryptographyClient,
      options: AzureCallOptions,
    ) => Promise<{ result: Uint8Array; keyID?: string }>,
  ): Promise<Uint8Array> {
    const options = { abortSignal: signal, requestOptions: { timeout: this.#timeoutMs } };
    const answering = this.#versions.use(version, (client) => call(client, options));
    const { result, keyID } = await this.#sorted(operation, signal, answering);
    if (keyID === version.id && result instanceof Uint8Array) return result;
    if (result instanceof Uint8Array) result.fill(0);
    throw new KeyholeError(
      'key_answer_invalid',
      `Azure Key Vault answered ${operation} for ${this.name} with another key's name or nothing`,
    );
  }

  async #sorted<T>(operation: Operation, signal: AbortSignal, answer: Promise<T>): Promise<T> {
    try {
      return await untilAborted(answer, signal);
    } catch (error) {
      const { statusCode, details, response } = (error ?? {}) as AzureRefusal;
      const reason = details?.error?.innerError?.code ?? details?.error?.code ?? 'no reason given';
      const message = `Azure Key Vault answered ${operation} for ${this.name} with ${statusCode === undefined ? 'no status' : `status ${statusCode}`}, ${reason}`;
      throw new KeyholeError(codeOf(statusCode, reason, operation), message, {
        cause: bareError(error),
        retryAfterMs: retryAfterMs(response?.headers?.get('retry-after')),
      });
    }
  }
}

/** What an RSA key of 2048, 3072 or 4096 bits wraps is as long as the key; temporal-proxy may record it in base64url. */
function blobIn(wrapped: Uint8Array): Uint8Array {
  if (RSA_BYTES.has(wrapped.length)) return wrapped;
  const text = Buffer.from(wrapped).toString('latin1');
  const blob = Buffer.from(text, 'base64url');
  return RSA_BYTES.has(blob.length) && blob.toString('base64url') === text.replace(/=+$/, '')
    ? blob
    : wrapped;
}

/** temporal-proxy may have wrapped its data key in base64. */
function dataKeyIn(result: Uint8Array): Uint8Array {
  if (result.length !== DATA_KEY_TEXT_BYTES) return result;
  const dataKey = Buffer.from(Buffer.from(result).toString('latin1'), 'base64');
  if (dataKey.length !== DATA_KEY_BYTES) return result;
  result.fill(0);
  return dataKey;
}

type Operation = 'getKey' | 'wrapKey' | 'unwrapKey';

/** What of the SDK's `RestError` we read. */
interface AzureRefusal {
  readonly statusCode?: number;
  readonly details?: {
    readonly error?: { readonly code?: string; readonly innerError?: { readonly code?: string } };
  };
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

/**
 * One SDK client a version of a key, kept for its sign-in. The first call of each goes alone: two calls that meet the
 * service's 401 challenge at the same time make the SDK send one of them again without its body.
 */
class VersionClients {
  readonly #make: (version: AzureKeyVersion) => AzureCryptographyClient;
  readonly #clients = new Map<string, { client: AzureCryptographyClient; introduced: Promise<void> }>();

  constructor(make: (version: AzureKeyVersion) => AzureCryptographyClient) {
    this.#make = make;
  }

  async use<T>(version: AzureKeyVersion, call: (client: AzureCryptographyClient) => Promise<T>): Promise<T> {
    const known = this.#clients.get(version.id);
    if (known !== undefined) {
      await known.introduced;
      return await call(known.client);
    }
    const client = this.#make(version);
    const answer = call(client);
    this.#keep(version.id, client, answer);
    return await answer;
  }

  #keep(id: string, client: AzureCryptographyClient, first: Promise<unknown>): void {
    const [oldest] = this.#clients.keys();
    if (this.#clients.size >= MAX_CLIENTS && oldest !== undefined) this.#clients.delete(oldest);
    const introduced = first.then(
      () => undefined,
      () => undefined,
    );
    this.#clients.set(id, { client, introduced });
  }
}

/**
 * Key Vault's status codes (learn.microsoft.com/azure/key-vault/general/rest-error-codes). A disabled version refuses
 * to unwrap with 403 and the inner code KeyDisabled, but goes on wrapping; one that has expired goes on unwrapping.
 */
function codeOf(status: number | undefined, reason: string, operation: Operation): KeyholeErrorCode {
  switch (status) {
    case 400:
      return operation === 'unwrapKey' ? 'key_wrong_context' : 'key_denied';
    case 401:
      return 'key_denied';
    case 403:
      return reason === 'KeyDisabled' ? 'key_gone' : 'key_denied';
    case 404:
    case 409: // deleted, and recoverable
      return 'key_gone';
    case 429:
      return 'key_throttled';
    default:
      return 'key_unavailable';
  }
}
