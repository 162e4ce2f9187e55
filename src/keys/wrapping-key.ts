// The interface a key service implements: a wrapping key makes data keys and unwraps them.
import { hasMethods } from './options.js';

/** What a data key is used for; the key service's own context carries the namespace where there is one. */
export interface KeyContext {
  /**
   * The namespace the data key is bound to, or `null` for the formats that bind none (`encryption-jwt`): then the
   * key service's context is left out.
   */
  readonly namespace: string | null;
  /** Ends the call, which then rejects at once; the caller races it all the same. */
  readonly signal: AbortSignal;
}

export interface GeneratedDataKey {
  /** Full, immutable id of the wrapping key that was used (an ARN, a resource name with version), 1 to 512 bytes. */
  readonly keyId: string;
  /** The data key: exactly 32 bytes. The receiver owns and zeroes it. */
  readonly plaintext: Uint8Array;
  /** The data key, wrapped. */
  readonly wrapped: Uint8Array;
}

export interface UnwrappedDataKey {
  /** Full, immutable id of the wrapping key, as the service's answer names it (else as recorded or configured). */
  readonly keyId: string;
  /** The data key: exactly 32 bytes. The receiver owns and zeroes it. */
  readonly plaintext: Uint8Array;
}

/**
 * One wrapping key of the configuration.
 *
 * Both calls throw a `KeyholeError` with one of `key_denied`, `key_gone`, `key_wrong`, `key_wrong_context`,
 * `key_throttled` (with `retryAfterMs` if the service said), `key_unavailable`, `key_answer_invalid`. They must
 * neither retry nor queue: deadline, retries and limits are the caller's (`key-calls.ts`). They must not cache.
 */
export interface WrappingKey {
  /** The provider's name in the configuration, e.g. `aws-kms`. */
  readonly provider: string;
  /** The key as configured (an alias, an ARN, a local key's id); used in errors, records and metrics. */
  readonly name: string;
  /**
   * Whether only those who may wrap can have made a wrapped data key. `false` where a public key suffices and no
   * context is bound (RSA in Azure Key Vault): what is sealed there is secret, but anyone may have sealed it, for any
   * namespace; start-up warns. Default is true.
   */
  readonly provesOrigin?: boolean;
  /**
   * Whether a data key recorded under `keyId` can belong to this wrapping key: `yes` if the configuration names
   * exactly that id, `maybe` if only the service can tell (an alias), else `no`.
   */
  holds(keyId: string): 'yes' | 'maybe' | 'no';
  /**
   * What all ids have in common under which one wrapped data key may be unwrapped: a key's name without its version, a
   * multi-Region key's id without its Region. By it a key that serves two namespaces is found. Default is the id itself.
   */
  identityOf?(keyId: string): string;
  /** Makes a fresh data key of 32 bytes. */
  generateDataKey(context: KeyContext): Promise<GeneratedDataKey>;
  /**
   * Unwraps a data key with the *configured* key. If `keyId` (the id recorded in the payload) is given and the
   * service's answer names a key, the two must be the same (else `key_wrong`).
   */
  unwrap(wrapped: Uint8Array, keyId: string | null, context: KeyContext): Promise<UnwrappedDataKey>;
}

/** Whether a value has the methods of a wrapping key. */
export function isWrappingKey(value: unknown): value is WrappingKey {
  return hasMethods(value, 'holds', 'generateDataKey', 'unwrap');
}
