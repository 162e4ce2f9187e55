// The one error class of Keyhole and the closed list of its codes.

/**
 * Codes that a caller of the codec server sees (`error.code` of the body). The list is `docs/errors.md`'s and
 * scripts depend on it.
 */
export type HttpErrorCode =
  | 'namespace_missing'
  | 'namespace_conflict'
  | 'namespace_invalid'
  | 'body_invalid'
  | 'header_repeated'
  | 'token_missing'
  | 'token_invalid'
  | 'token_expired'
  | 'subject_refused'
  | 'email_missing'
  | 'role_missing'
  | 'namespace_foreign'
  | 'origin_refused'
  | 'not_found'
  | 'method_not_allowed'
  | 'too_large'
  | 'content_type'
  | 'payload_invalid'
  | 'not_opened'
  | 'format_not_enabled'
  | 'rate_limited'
  | 'overloaded'
  | 'jwks_unavailable'
  | 'authz_unavailable'
  | 'kms_unavailable'
  | 'audit_unavailable'
  | 'internal';

/** Codes that only the library and the inside of the server know. */
export type InnerErrorCode =
  /** The payload is bound to a namespace that this codec does not open. */
  | 'namespace_refused'
  /** A payload without a mark of ours, where `passThrough: refuse` is set. */
  | 'plaintext_refused'
  /** No wrapping key of the configuration answers for this namespace or key id. */
  | 'key_not_configured'
  /** The key service refused us this key. */
  | 'key_denied'
  /** The wrapping key is disabled, pending deletion, deleted or unknown to its service. */
  | 'key_gone'
  /** The wrapped data key does not belong to this wrapping key. */
  | 'key_wrong'
  /** The wrapped data key was wrapped for another context (namespace), or was changed. */
  | 'key_wrong_context'
  /** The key service throttles us; passes. */
  | 'key_throttled'
  /** The key service cannot be reached, answers too late or with an internal error; passes. */
  | 'key_unavailable'
  /** The key service's answer cannot be right (a data key of the wrong length, another key's id). */
  | 'key_answer_invalid'
  /** Sealing failed; no plaintext was let out. */
  | 'seal_failed';

export type KeyholeErrorCode = HttpErrorCode | InnerErrorCode;

export interface KeyholeErrorOptions extends ErrorOptions {
  /** How long the caller should wait before trying again, in milliseconds, where the source of the error said so. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * What goes wrong at run time. `code` is stable; `message` is one sentence in lower case that says what was being
 * done, to which key id or namespace, and holds no payload byte, key or token; `cause` is for the log only.
 */
export class KeyholeError extends Error {
  override readonly name = 'KeyholeError';
  readonly code: KeyholeErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: KeyholeErrorCode, message: string, options: KeyholeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether an error is a `KeyholeError`, across the package's ESM and CommonJS copies. */
export function isKeyholeError(error: unknown): error is KeyholeError {
  return error instanceof Error && error.name === 'KeyholeError' && 'code' in error;
}

/** Whether waiting may help: the key service is down, slow or throttling. */
export function isPassing(code: KeyholeErrorCode): boolean {
  return code === 'key_throttled' || code === 'key_unavailable' || code === 'key_answer_invalid';
}
