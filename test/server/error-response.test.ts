// Every error code has its answer, and docs/errors.md lists them as they are.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { KeyholeError, type HttpErrorCode, type KeyholeErrorCode } from '../../src/errors.js';
import { errorAnswer, errorResponse } from '../../src/server/error-response.js';

const DOC = resolve(import.meta.dirname, '../../docs/errors.md');

/** A list the compiler keeps complete. */
const HTTP_CODES: Record<HttpErrorCode, string> = {
  namespace_missing: 'send `X-Namespace`, or put the namespace into the path: `/{namespace}/decode`',
  namespace_conflict: 'send one namespace',
  namespace_invalid: '1 to 255 characters of `A-Z a-z 0-9 . _ -`, the first one a letter or a digit',
  body_invalid: 'send `{"payloads": […]}`: strict JSON in UTF-8, base64 of either alphabet, no name twice',
  header_repeated: '`Authorization`, `X-Namespace`, `Origin` and `Host` may come once',
  token_missing:
    'sign in; in the Web UI switch on *Pass the user access token*, or sign in at `/signin` of this server',
  token_invalid: 'issuer, audience, signature, algorithm or form is not as configured under `access.issuers`',
  token_expired: 'sign in again',
  subject_refused: 'the sign-in is of a kind that `subjects` of the issuer does not list',
  email_missing: 'the issuer must vouch for the e-mail: `claims.email`, `emailVerified`, `emailDomains`',
  role_missing: 'the sentence names the roles that would do; ask an admin of the namespace or account',
  namespace_foreign: 'the namespace is not of the account that this server serves',
  origin_refused:
    'list the Web UI under `cors.origins`; a session’s cookie counts only with the `Origin` of a listed page',
  not_found: 'the address is not `/decode`, `/encode` or `/download`; for `/download`: nothing is configured',
  method_not_allowed: 'use the methods in `Allow`',
  too_large: 'send less at once: `limits.bodyBytes`, `limits.payloads`; 4 MiB of data a payload',
  content_type: 'send `Content-Type: application/json` and no `Content-Encoding`',
  payload_invalid: 'a payload does not keep to its format or limits; no request of its kind can succeed',
  not_opened: 'changed data, another key, or a key that is disabled, deleted, not configured or denied to us',
  format_not_enabled: 'enable the format under `keys[].reads`, or see why one key serves two namespaces',
  rate_limited:
    'wait as `Retry-After` says: `limits.callerRequestsPerSecond`, `limits.callerPayloadsPerMinute`; not to be changed: 2000 calls to key services a minute for one caller, and the shares of `limits.concurrency` and `limits.heldBytes` that one caller’s bodies and waiting requests may take up',
  overloaded: 'try again; more places: `limits.concurrency`, `limits.heldBytes`, or another instance',
  jwks_unavailable: "the issuer's key set was never loaded, or is too old: see the log",
  authz_unavailable: 'the source of roles does not answer, or refuses our key: see the log',
  kms_unavailable: 'the key service is down, slow or throttling: see the log',
  audit_unavailable: 'the record cannot be written: disk, permissions; nothing is opened until it can',
  internal: 'a fault of ours: the log has it under the request id',
};

const INNER_CODES: Record<Exclude<KeyholeErrorCode, HttpErrorCode>, true> = {
  namespace_refused: true,
  plaintext_refused: true,
  key_not_configured: true,
  key_denied: true,
  key_gone: true,
  key_wrong: true,
  key_wrong_context: true,
  key_throttled: true,
  key_unavailable: true,
  key_answer_invalid: true,
  seal_failed: true,
};

function documented(): string {
  const codes = Object.keys(HTTP_CODES) as HttpErrorCode[];
  const rows = codes
    .map((code) => ({ ...errorAnswer(code), meaning: HTTP_CODES[code] }))
    .sort((a, b) => a.status - b.status)
    .map(
      ({ status, code, sentence, retryAfterSeconds, meaning }) =>
        `| ${status} | \`${code}\` | ${sentence} | ${retryAfterSeconds === undefined ? '' : `${retryAfterSeconds} s`} | ${meaning} |`,
    );
  const inner = Object.keys(INNER_CODES) as KeyholeErrorCode[];
  const innerRows = inner.map((code) => {
    const { status, code: seen } = errorAnswer(code);
    return `| \`${code}\` | ${status} \`${seen}\` |`;
  });
  return `# Errors of the codec server

This page is written by \`test/server/error-response.test.ts\` (\`UPDATE_DOCS=1 npx vitest run test/server/error-response.test.ts\`).

Every refusal has this body, and \`X-Request-Id\` repeats its id; log and record carry the same one:

\`\`\`json
{ "error": { "code": "role_missing", "message": "…", "requestId": "…" } }
\`\`\`

\`code\` is stable. \`message\` is a sentence for people; it may say more than the one below. Where waiting helps,
\`Retry-After\` is there: the time below, or what the failing part asked for, 60 s at most. A 401 carries
\`WWW-Authenticate\` (RFC 6750). 408 (too slow), 431 (more than 100 headers, or more bytes of them than
\`limits.headerBytes\`) and the 400 to what is not HTTP, or names no host, have no body; an origin that is not listed gets no CORS headers.

| status | code | says | \`Retry-After\` | what to do |
| --- | --- | --- | --- | --- |
${rows.join('\n')}

Codes of the library, as the server answers them where a whole request fails of one:

| code | answer |
| --- | --- |
${innerRows.join('\n')}

One payload of several that fails comes back as it came; the request is a 200 as soon as one of them opened, and the
record counts the rest.
`;
}

test('docs/errors.md is what the server answers', () => {
  const expected = documented();
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(DOC, expected);
  expect(existsSync(DOC) ? readFileSync(DOC, 'utf8') : '').toBe(expected);
});

test('only what waiting helps has a Retry-After, and every 503 has one', () => {
  for (const code of [...Object.keys(HTTP_CODES), ...Object.keys(INNER_CODES)] as KeyholeErrorCode[]) {
    const { status, retryAfterSeconds } = errorResponse(new KeyholeError(code, 'said'));
    expect([code, retryAfterSeconds !== undefined]).toEqual([code, status === 503 || status === 429]);
  }
});

test('no inner code reaches a caller, nor a sentence that is not meant for them', () => {
  for (const code of Object.keys(INNER_CODES) as KeyholeErrorCode[]) {
    const answer = errorResponse(new KeyholeError(code, 'arn:aws:kms:key/1 is disabled'));
    expect(Object.keys(HTTP_CODES)).toContain(answer.code);
    expect(answer.message).not.toContain('arn:');
  }
  for (const error of [new TypeError('secret'), 'secret', undefined]) {
    expect(errorResponse(error)).toMatchObject({ status: 500, code: 'internal' });
    expect(errorResponse(error).message).not.toContain('secret');
  }
});

test('the wait that the failing part asks for is passed on in whole seconds, 60 at most', () => {
  const after = (retryAfterMs: number): number | undefined =>
    errorResponse(new KeyholeError('authz_unavailable', 'x', { retryAfterMs })).retryAfterSeconds;
  expect([after(1), after(1_500), after(600_000)]).toEqual([1, 2, 60]);
});
