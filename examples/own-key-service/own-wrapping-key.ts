// A wrapping key in a key service of one's own, which wraps and unwraps over HTTPS.
import { randomBytes } from 'node:crypto';
import { abortAfter, KeyholeError, type KeyholeErrorCode, type WrappingKey } from 'temporal-keyhole';

const CODES: Record<number, KeyholeErrorCode> = {
  403: 'key_denied',
  404: 'key_gone',
  422: 'key_wrong_context',
  429: 'key_throttled',
};

export function ownWrappingKey(address: string, name: string): WrappingKey {
  const failed = (code: KeyholeErrorCode, rest = {}): KeyholeError =>
    new KeyholeError(code, `our key service did not answer for ${name}`, rest);

  async function ask(path: string, bytes: Uint8Array, namespace: string | null, signal: AbortSignal) {
    const response = await fetch(`${address}/${path}`, {
      method: 'POST',
      redirect: 'error',
      signal: abortAfter(2_000, signal),
      body: JSON.stringify({ key: name, namespace, data: Buffer.from(bytes).toString('base64') }),
    }).catch((cause: unknown) => Promise.reject(failed('key_unavailable', { cause })));
    const wait = response.headers.get('retry-after');
    const rest = wait === null ? {} : { retryAfterMs: Number(wait) * 1000 };
    if (!response.ok) throw failed(CODES[response.status] ?? 'key_unavailable', rest);
    const answer = (await response.json().catch(() => ({}))) as { data?: unknown };
    if (typeof answer.data !== 'string') throw failed('key_answer_invalid');
    return Buffer.from(answer.data, 'base64');
  }

  return {
    provider: 'own',
    name,
    holds: (keyId) => (keyId === name ? 'yes' : 'no'),
    async generateDataKey({ namespace, signal }) {
      const plaintext = randomBytes(32);
      return { keyId: name, plaintext, wrapped: await ask('wrap', plaintext, namespace, signal) };
    },
    async unwrap(wrapped, keyId, { namespace, signal }) {
      if (keyId !== null && keyId !== name) throw failed('key_wrong');
      return { keyId: name, plaintext: await ask('unwrap', wrapped, namespace, signal) };
    },
  };
}
