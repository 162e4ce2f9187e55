// The form of a token before anything of it is believed: three canonical parts, and whose it claims to be.
import type { KeyholeError } from '../../errors.js';
import { isRecord } from './signing-keys.js';
import { invalid } from './token-principal.js';

export interface UnverifiedToken {
  /** Claimed `iss`: selects an entry of the configuration, nothing more. */
  readonly issuer: string;
  /** Claimed `alg`. */
  readonly algorithm: string;
}

export const MAX_TOKEN_BYTES = 16_384;

/** Of an access token: RFC 7519 §5.1, RFC 9068 §2.1. */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt']);

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
  if (!isOfAccessTokens(header['typ'])) throw invalid('is of a type that access tokens are not of');
  return { issuer, algorithm };
}

/** An issuer signs logout tokens and more with the same keys (RFC 8725 §3.11). No type at all says nothing. */
function isOfAccessTokens(type: unknown): boolean {
  if (type === undefined) return true;
  return typeof type === 'string' && TYPES.has(type.toLowerCase().replace(/^application\//, ''));
}

function parseObject(bytes: Buffer | undefined): Record<string, unknown> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    if (isRecord(value) && membersOf(value) === membersIn(text)) return value;
  } catch {
    // answered below, without the parser's message: it quotes the token
  }
  throw malformed();
}

/** Fewer than the text has where a name is there twice: parsers differ in which one counts (RFC 7519 §4). */
function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const within = Object.values(value).reduce<number>((sum, one) => sum + membersOf(one), 0);
  return within + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

/** Each has a colon outside of its strings. */
function membersIn(json: string): number {
  return json.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1;
}

function malformed(): KeyholeError {
  return invalid('is not a JSON Web Token of three parts');
}
