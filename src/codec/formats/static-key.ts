// The `static-key` format of Temporal's Go, TypeScript, .NET, Java and Python samples: a key id, and AES-256-GCM.
import { KeyholeError } from '../../errors.js';
import { KEY_ID, MAX_KEY_ID_BYTES, textOf, type Metadata, type SealedMark } from '../metadata.js';
import { open } from '../seal.js';
import type { FormatReader } from './reader.js';

/** The Java sample's; there, as in the community servers written after it, the key id may be the key itself. */
const CIPHER = 'encryption-cipher';
const CIPHER_NAME = 'AES/GCM/NoPadding';

/** The configured key is the AES key itself, there is no associated data, and nothing binds a namespace. */
export const staticKey: FormatReader = {
  format: 'static-key',
  keys: [KEY_ID, CIPHER],
  claims: (metadata) => metadata[KEY_ID] !== undefined,
  read,
  open: (key, data) => open(key, data, undefined),
};

function read(metadata: Metadata): SealedMark {
  const keyId = textOf(metadata[KEY_ID]);
  if (keyId === undefined || keyId.length < 1 || keyId.length > MAX_KEY_ID_BYTES) throw invalid(KEY_ID);
  if (metadata[CIPHER] !== undefined && textOf(metadata[CIPHER]) !== CIPHER_NAME) throw invalid(CIPHER);
  return {
    kind: 'sealed',
    format: 'static-key',
    namespace: null,
    keyId,
    wrappedKey: new Uint8Array(0),
    commitment: null,
  };
}

function invalid(key: string): KeyholeError {
  return new KeyholeError('payload_invalid', `a static-key payload has no valid ${key}`);
}
