// The format of temporal-proxy: a data key wrapped by the key that a URI names, and AES-256-GCM.
import { KeyholeError } from '../../errors.js';
import { base64Of, KEY_ID, textOf, type Metadata, type SealedMark } from '../metadata.js';
import { open } from '../seal.js';
import type { FormatReader } from './reader.js';

/** The wrapped data key in ASCII, standard base64. */
const WRAPPED = 'encryption-dek';
/** A URI may carry a context of several pairs. */
const MAX_URI_BYTES = 2048;

/**
 * The data key is the AES key itself, there is no associated data, and nothing binds a namespace. The key id is a
 * URI as in the proxy's own configuration; only one that ours has too, letter by letter, is followed.
 */
export const temporalProxy: FormatReader = {
  format: 'temporal-proxy',
  keys: [WRAPPED, KEY_ID],
  claims: (metadata) => metadata[WRAPPED] !== undefined,
  read,
  open: (key, data) => open(key, data, undefined),
};

function read(metadata: Metadata): SealedMark {
  const keyId = textOf(metadata[KEY_ID]);
  if (keyId === undefined || keyId.length < 1 || keyId.length > MAX_URI_BYTES) throw invalid(KEY_ID);
  const wrappedKey = base64Of(metadata[WRAPPED]);
  if (wrappedKey === undefined) throw invalid(WRAPPED);
  return { kind: 'sealed', format: 'temporal-proxy', namespace: null, keyId, wrappedKey, commitment: null };
}

function invalid(key: string): KeyholeError {
  return new KeyholeError('payload_invalid', `a temporal-proxy payload has no valid ${key}`);
}
