// The local keys of temporal-proxy (`base64key://`, gocloud.dev's localsecrets): NaCl's secretbox, unwrapped only.
import { createHash } from 'node:crypto';
import { KeyholeError } from '../../errors.js';
import { isPublishedKey } from '../fixed-keys.js';
import { parseProxyKeyUri } from '../proxy-key-uri.js';
import type { GeneratedDataKey, UnwrappedDataKey, WrappingKey } from '../wrapping-key.js';

const NONCE_BYTES = 24;
const BOX_BYTES = 32 + 16;

/**
 * Opens what temporal-proxy wrapped with a local key: nonce (24) ‖ XSalsa20-Poly1305 box of the data key.
 *
 * @param uri - `base64key://…` as its payloads have it; it is the key, so `name` is 8 bytes of its SHA-256.
 * @throws TypeError for another URI, and for a key that stands in public documentation.
 */
export function secretBoxKey(uri: string): WrappingKey {
  const parsed = parseProxyKeyUri(uri);
  if (parsed.scheme !== 'base64key') throw new TypeError('is not a base64key URI');
  if (isPublishedKey(parsed.secret)) throw new TypeError('is published, anybody can open what it sealed');
  return new SecretBoxKey(parsed.secret);
}

class SecretBoxKey implements WrappingKey {
  readonly provider = 'secret-box';
  readonly name: string;
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.name = `base64key:${createHash('sha256').update(secret).digest('hex').slice(0, 16)}`;
  }

  holds(): 'no' {
    return 'no';
  }

  generateDataKey(): Promise<GeneratedDataKey> {
    return Promise.reject(
      new KeyholeError('key_denied', `${this.name} only opens what temporal-proxy sealed`),
    );
  }

  async unwrap(wrapped: Uint8Array): Promise<UnwrappedDataKey> {
    const { xsalsa20poly1305 } = await import('@noble/ciphers/salsa.js');
    if (wrapped.length === NONCE_BYTES + BOX_BYTES) {
      try {
        const box = xsalsa20poly1305(this.#secret, wrapped.subarray(0, NONCE_BYTES));
        return { keyId: this.name, plaintext: box.decrypt(wrapped.subarray(NONCE_BYTES)) };
      } catch {
        // the tag does not fit: the same answer
      }
    }
    throw new KeyholeError(
      'key_wrong_context',
      `the data key was not wrapped by ${this.name}, or was changed`,
    );
  }
}
