// The transit engine of HashiCorp Vault or OpenBao as the wrapping key: a data key of ours, encrypt and decrypt.
import { abortAfter } from '../../aborting.js';
import { KeyholeError, type KeyholeErrorCode } from '../../errors.js';
import { namespaceTemplate } from '../key-template.js';
import { aFunction, assertOptions, milliseconds, oneOf, optional, someText, type Forms } from '../options.js';
import type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from '../wrapping-key.js';
import { freshDataKey } from './fresh-data-key.js';
import { retryAfterMs } from './retry-after.js';

/** The one function we call: the platform's `fetch`, or one that knows a private CA. */
export type VaultFetch = (url: string, init: RequestInit) => Promise<Response>;

export interface VaultTransitOptions {
  /** `https://vault.example.com:8200`. Plain http only on this machine (Vault Agent or Vault Proxy). */
  readonly address: string;
  /** Asked for the token of every call, so that whoever keeps it may renew it. */
  readonly token: () => string | Promise<string>;
  /** Name of the transit key, of an AEAD type; `{namespace}` stands for the namespace with `_` for each `.`. */
  readonly key: string;
  /** Where the engine is mounted. Default is `transit`. */
  readonly mount?: string;
  /** Namespace of Vault Enterprise or OpenBao, sent as `X-Vault-Namespace`. Default is none. */
  readonly vaultNamespace?: string;
  /** How long one call may take. Default is 2000. */
  readonly timeoutMs?: number;
  /** Default is the platform's. */
  readonly fetch?: VaultFetch;
}

/** `provider` comes along with what the codec server's configuration says of a key. */
const OPTIONS: Forms<VaultTransitOptions & { readonly provider?: string }> = {
  address: someText('an address such as https://vault.example.com:8200'),
  token: aFunction('a function that answers the token'),
  key: someText('the name of a transit key'),
  mount: optional(someText('a path such as transit')),
  vaultNamespace: optional(someText('a path such as team')),
  timeoutMs: optional(milliseconds()),
  fetch: optional(aFunction('a function such as the platform’s fetch')),
  provider: optional(oneOf('vault-transit')),
};

const KEY = /^(?:\w|\{namespace\})(?:[\w.-]|\{namespace\})*$/;
const PATH = /^[\w-]+(?:\/[\w-]+)*$/;
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);
const CIPHERTEXT = /^vault:v([1-9]\d{0,8}):[A-Za-z0-9+/]+={0,2}$/;
const VERSION = /^[1-9]\d{0,8}$/;
/** Checked here, since the platform's own complaint about a header repeats its value. */
const TOKEN = /^[\x21-\x7e]+$/;
/** What an answer may weigh; a wrapped data key and what stands around it is a few hundred bytes. */
const MAX_ANSWER_BYTES = 65_536;

/**
 * Wrapping keys in a transit engine, one a namespace. What is recorded as key id is
 * `[vaultNamespace/]mount/keys/KEY/versions/N`: no address, so that a Vault that moved goes on opening.
 *
 * @throws TypeError for options that cannot be right, such as an address, mount, namespace or key name of another form.
 */
export function vaultTransit(options: VaultTransitOptions): (namespace: string) => WrappingKey {
  assertOptions('vaultTransit', options, OPTIONS);
  const { key, mount = 'transit', vaultNamespace } = options;
  if (!KEY.test(key)) throw new TypeError('a transit key is named with A-Z a-z 0-9 . _ - and {namespace}');
  if (!PATH.test(mount)) throw new TypeError('a transit mount is a path such as transit or team/transit');
  if (vaultNamespace !== undefined && !PATH.test(vaultNamespace))
    throw new TypeError('a Vault namespace is a path such as team or team/sub');
  const vault = new Vault(options, addressOf(options.address));
  const nameOf = namespaceTemplate(key);
  return (namespace) => new VaultTransitWrappingKey(vault, nameOf(namespace));
}

function addressOf(text: string): string {
  const url = URL.parse(text);
  const plain = url?.protocol === 'http:' && LOOPBACK.has(url.hostname);
  if (url === null || !(url.protocol === 'https:' || plain))
    throw new TypeError('a Vault address begins with https://, or on this machine with http://');
  if (url.username !== '' || url.search !== '' || url.hash !== '')
    throw new TypeError('a Vault address is scheme, host, port and path');
  return url.href.replace(/\/$/, '');
}

/** The namespace is the associated data: its bytes and nothing else; none where none is bound. */
class VaultTransitWrappingKey implements WrappingKey {
  readonly provider = 'vault-transit';
  readonly name: string;
  readonly #vault: Vault;
  readonly #key: string;

  constructor(vault: Vault, key: string) {
    this.#vault = vault;
    this.#key = key;
    this.name = `${vault.path}/keys/${key}`;
  }

  /** Every version of the key is the key: the wrapped data key says which it needs. */
  holds(keyId: string): 'yes' | 'no' {
    return this.#versionOf(keyId) === undefined ? 'no' : 'yes';
  }

  identityOf(): string {
    return this.name;
  }

  generateDataKey({ namespace, signal }: KeyContext): Promise<GeneratedDataKey> {
    return freshDataKey(async (plaintext) => {
      const body = { plaintext: Buffer.from(plaintext).toString('base64'), ...boundTo(namespace) };
      const { ciphertext } = await this.#vault.ask('encrypt', this.#key, body, signal);
      const version = CIPHERTEXT.exec(typeof ciphertext === 'string' ? ciphertext : '')?.[1];
      if (version === undefined) throw this.#invalid('encrypt', 'ciphertext');
      return { keyId: this.#idOf(version), wrapped: Buffer.from(String(ciphertext), 'latin1') };
    });
  }

  async unwrap(
    wrapped: Uint8Array,
    keyId: string | null,
    { namespace, signal }: KeyContext,
  ): Promise<UnwrappedDataKey> {
    const ciphertext = Buffer.from(wrapped).toString('latin1');
    const version = CIPHERTEXT.exec(ciphertext)?.[1];
    if (version === undefined)
      throw new KeyholeError('key_wrong_context', `no transit engine wrapped what ${this.name} is to unwrap`);
    if (keyId !== null && this.#versionOf(keyId) !== version)
      throw new KeyholeError('key_wrong', `the payload's data key was not wrapped by ${this.name}`);
    const body = { ciphertext, ...boundTo(namespace) };
    const { plaintext } = await this.#vault.ask('decrypt', this.#key, body, signal);
    const bytes = Buffer.from(typeof plaintext === 'string' ? plaintext : '', 'base64');
    if (bytes.toString('base64') !== plaintext) throw this.#invalid('decrypt', 'plaintext');
    return { keyId: this.#idOf(version), plaintext: bytes };
  }

  #idOf(version: string): string {
    return `${this.name}/versions/${version}`;
  }

  #versionOf(keyId: string): string | undefined {
    const versions = this.#idOf('');
    const version = keyId.startsWith(versions) ? keyId.slice(versions.length) : '';
    return VERSION.test(version) ? version : undefined;
  }

  #invalid(operation: Operation, what: string): KeyholeError {
    return new KeyholeError(
      'key_answer_invalid',
      `Vault answered ${operation} for ${this.name} without a ${what}`,
    );
  }
}

type Operation = 'encrypt' | 'decrypt';

function boundTo(namespace: string | null): { associated_data?: string } {
  return namespace === null ? {} : { associated_data: Buffer.from(namespace).toString('base64') };
}

/** One transit engine, over Vault's HTTP API. */
class Vault {
  /** Its path from the root namespace on. */
  readonly path: string;
  readonly #mountUrl: string;
  readonly #namespace: string | undefined;
  readonly #token: () => string | Promise<string>;
  readonly #timeoutMs: number;
  readonly #fetch: VaultFetch;

  constructor(options: VaultTransitOptions, address: string) {
    const { mount = 'transit', vaultNamespace } = options;
    this.path = vaultNamespace === undefined ? mount : `${vaultNamespace}/${mount}`;
    this.#mountUrl = `${address}/v1/${mount}`;
    this.#namespace = vaultNamespace;
    this.#token = options.token;
    this.#timeoutMs = options.timeoutMs ?? 2_000;
    this.#fetch = options.fetch ?? fetch;
  }

  /** The `data` of Vault's answer. A redirect is not followed: the token would go along to wherever it points. */
  async ask(
    operation: Operation,
    key: string,
    body: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>> {
    const where = `${operation} for ${this.path}/keys/${key}`;
    const { status, header, text } = await this.#post(operation, key, body, signal).catch(
      (cause: unknown) => {
        throw new KeyholeError('key_unavailable', `Vault could not be asked to ${where}`, { cause });
      },
    );
    if (status === 200) return dataOf(text, where);
    const refusal = refusalIn(text);
    throw new KeyholeError(codeOf(status, refusal), `Vault answered ${status} to ${where}`, {
      cause: new Error(refusal),
      retryAfterMs: retryAfterMs(header),
    });
  }

  async #post(
    operation: Operation,
    key: string,
    body: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ status: number; header: string | null; text: string }> {
    const token = await this.#token();
    if (!TOKEN.test(token)) throw new Error('the Vault token is empty or has characters that no token has');
    const response = await this.#fetch(`${this.#mountUrl}/${operation}/${encodeURIComponent(key)}`, {
      method: 'POST',
      redirect: 'manual',
      signal: abortAfter(this.#timeoutMs, signal),
      headers: {
        'content-type': 'application/json',
        'x-vault-request': 'true',
        'x-vault-token': token,
        ...(this.#namespace !== undefined && { 'x-vault-namespace': this.#namespace }),
      },
      body: JSON.stringify(body),
    });
    return {
      status: response.status,
      header: response.headers.get('retry-after'),
      text: await boundedText(response),
    };
  }
}

async function boundedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function dataOf(text: string, where: string): Readonly<Record<string, unknown>> {
  const data = property(parsed(text), 'data');
  if (typeof data === 'object' && data !== null) return data as Record<string, unknown>;
  throw new KeyholeError('key_answer_invalid', `Vault answered nothing that makes sense to ${where}`);
}

/** Vault's own sentences, `{"errors": […]}`: for the log, and to tell the many kinds of 400 apart. */
function refusalIn(text: string): string {
  const errors = property(parsed(text), 'errors');
  return Array.isArray(errors) ? errors.map(String).join('; ').slice(0, 500) : 'no reason given';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** Vault's HTTP status codes (developer.hashicorp.com/vault/api-docs#http-status-codes). */
function codeOf(status: number, refusal: string): KeyholeErrorCode {
  switch (status) {
    case 400:
      return codeOfRefusal(refusal);
    case 401:
    case 403:
      return 'key_denied';
    case 404: // no engine at this mount
      return 'key_gone';
    case 429:
      return 'key_throttled';
    default: // sealed, standing by, at fault, or a redirect
      return 'key_unavailable';
  }
}

/**
 * Sentences of Vault 1.21's transit engine (builtin/logical/transit/path_decrypt.go) and of its sdk
 * (helper/keysutil/policy.go); a 400 that is none of these means that the key is not one we may use this way.
 */
function codeOfRefusal(refusal: string): KeyholeErrorCode {
  if (/encryption key not found|version is disallowed by policy/.test(refusal)) return 'key_gone';
  if (refusal.includes('version is too new')) return 'key_wrong';
  if (/message authentication failed|invalid ciphertext/.test(refusal)) return 'key_wrong_context';
  return 'key_denied';
}
