// What a caller sees of an error: status, code, sentence, and when to try again.
import { isKeyholeError, type HttpErrorCode, type KeyholeErrorCode } from '../errors.js';

/** How one error code is answered. */
export interface ErrorAnswer {
  readonly status: number;
  readonly code: HttpErrorCode;
  /** Said where the error's own message is not meant for callers. */
  readonly sentence: string;
  /** Whether the error's own message is said instead. */
  readonly ownMessage: boolean;
  /** `Retry-After` in seconds, where waiting helps. */
  readonly retryAfterSeconds?: number;
}

/** One answer to one error. */
export interface ErrorResponse {
  readonly status: number;
  readonly code: HttpErrorCode;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
}

const MAX_RETRY_AFTER_SECONDS = 60;

/** The answer to whatever was thrown; what is not a `KeyholeError` is `internal`. */
export function errorResponse(error: unknown): ErrorResponse {
  const known = isKeyholeError(error) ? error : undefined;
  const { status, code, sentence, ownMessage, retryAfterSeconds } = errorAnswer(known?.code ?? 'internal');
  const asked = known?.retryAfterMs === undefined ? undefined : Math.ceil(known.retryAfterMs / 1000);
  return {
    status,
    code,
    message: ownMessage && known !== undefined ? known.message : sentence,
    retryAfterSeconds:
      retryAfterSeconds === undefined
        ? undefined
        : Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, asked ?? retryAfterSeconds)),
  };
}

/** Every code has its answer: the compiler says so where one is forgotten. */
export function errorAnswer(code: KeyholeErrorCode): ErrorAnswer {
  switch (code) {
    case 'namespace_missing':
      return said(400, code, 'name the namespace in the path or in X-Namespace');
    case 'namespace_conflict':
      return said(400, code, 'path and X-Namespace name different namespaces');
    case 'namespace_invalid':
      return said(400, code, 'what was given is not a namespace');
    case 'body_invalid':
      return said(400, code, 'the body is not JSON of temporal.api.common.v1.Payloads');
    case 'header_repeated':
      return said(400, code, 'a header that may be sent once was sent twice');
    case 'token_missing':
      return said(401, code, 'send your access token as "Authorization: Bearer …"');
    case 'token_invalid':
      return said(401, code, 'the access token is not valid');
    case 'token_expired':
      return said(401, code, 'the access token has expired');
    case 'subject_refused':
      return said(403, code, 'this kind of sign-in is not accepted here');
    case 'email_missing':
      return said(403, code, 'the access token carries no e-mail that counts here');
    case 'role_missing':
      return said(403, code, 'a role that allows this is missing');
    case 'namespace_foreign':
      return said(403, code, 'the namespace belongs to another account');
    case 'origin_refused':
      return said(403, code, 'pages of this origin may not call this server');
    case 'not_found':
      return said(404, code, 'nothing is here: POST to /decode, /encode or /download');
    case 'method_not_allowed':
      return said(405, code, 'this address takes other methods');
    case 'too_large':
      return said(413, code, 'the request is larger than this server takes');
    case 'content_type':
      return said(415, code, 'send application/json without a Content-Encoding');
    case 'payload_invalid':
      return said(422, code, 'a payload does not keep to its format');
    case 'not_opened':
      return hidden(422, code, 'no sealed payload of the request could be opened');
    case 'format_not_enabled':
      return said(422, code, 'the format of the sealed payloads is not enabled in this namespace');
    case 'rate_limited':
      return said(429, code, 'you sent more than this server takes from one caller', 1);
    case 'overloaded':
      return said(503, code, 'this server is busy', 1);
    case 'jwks_unavailable':
      return hidden(503, code, "the issuer's keys are not available now", 5);
    case 'authz_unavailable':
      return hidden(503, code, 'your roles could not be looked up now', 5);
    case 'audit_unavailable':
      return hidden(503, code, 'the record could not be written, so nothing was opened', 5);
    case 'kms_unavailable':
      return hidden(503, code, 'the key service is not available now', 5);
    case 'key_throttled':
    case 'key_unavailable':
    case 'key_answer_invalid':
      return hidden(503, 'kms_unavailable', 'the key service is not available now', 5);
    case 'namespace_refused':
      return hidden(422, 'not_opened', 'a payload is bound to another namespace');
    case 'plaintext_refused':
      return hidden(422, 'payload_invalid', 'a payload was never sealed, which this namespace refuses');
    case 'key_not_configured':
      return hidden(422, 'not_opened', 'no key is configured for it');
    case 'key_denied':
      return hidden(422, 'not_opened', 'the key service refuses the key');
    case 'key_gone':
      return hidden(422, 'not_opened', 'the key is disabled or deleted');
    case 'key_wrong':
    case 'key_wrong_context':
      return hidden(422, 'not_opened', 'the payload does not belong to the key configured for it');
    case 'seal_failed':
      return hidden(500, 'internal', 'a payload could not be sealed');
    case 'internal':
      return hidden(500, code, 'something went wrong here; the log has it under this request id');
  }
}

function said(
  status: number,
  code: HttpErrorCode,
  sentence: string,
  retryAfterSeconds?: number,
): ErrorAnswer {
  return { ...hidden(status, code, sentence, retryAfterSeconds), ownMessage: true };
}

function hidden(
  status: number,
  code: HttpErrorCode,
  sentence: string,
  retryAfterSeconds?: number,
): ErrorAnswer {
  const answer = { status, code, sentence, ownMessage: false };
  return retryAfterSeconds === undefined ? answer : { ...answer, retryAfterSeconds };
}
