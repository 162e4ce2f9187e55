// The form of a token before anything of it is believed: three canonical parts, and whose it claims to be.
import { KeyholeError } from '../errors.js';

export interface UnverifiedToken {
  /** Claimed `iss`: selects an entry of the configuration, nothing more. */
  readonly issuer: string;
  /** Claimed `alg`. */
  readonly algorithm: string;
}

export const MAX_TOKEN_BYTES = 16_384;

const FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/**
 * RFC 7515 §7.1, compact serialization: three parts of base64url without padding, each in its one canonical form.
 *
 * @throws KeyholeError `token_invalid`
 */
export function readUnverified(token: string): UnverifiedToken {
  if (token.length > MAX_TOKEN_BYTES || !FORM.test(token)) throw malformed();
  const parts = token.split('.').map((part) => {
    const bytes = Buffer.from(part, 'base64url');
    if (bytes.toString('base64url') !== part) throw malformed();
    return bytes;
  });
  const header = parseObject(parts[0]);
  const claims = parseObject(parts[1]);
  const [algorithm, issuer] = [header['alg'], claims['iss']];
  if (typeof algorithm !== 'string' || typeof issuer !== 'string') throw malformed();
  return { issuer, algorithm };
}

function parseObject(bytes: Buffer | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // answered below, without the parser's message: it quotes the token
  }
  throw malformed();
}

function malformed(): KeyholeError {
  return new KeyholeError('token_invalid', 'the access token is not a JSON Web Token of three parts');
}
