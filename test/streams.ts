// Keeps every log, error body and metric of the test run, with the secrets that must not be in them.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.env['KEYHOLE_TEST_STREAMS'];

/** Names a secret (plaintext, token, data key, API key) that no stream of this run may contain. At least 12 bytes. */
export function plantSecret<T extends string | Uint8Array>(secret: T): T {
  const bytes = Buffer.from(secret);
  if (bytes.length < 12)
    throw new TypeError('a planted secret shorter than 12 bytes would be found by chance');
  if (directory !== undefined) appendFileSync(join(directory, 'secrets'), `${bytes.toString('base64')}\n`);
  return secret;
}

/** Adds what a part of the product said (a log, an error body, a metrics page) to what is searched at the end. */
export function keepStream(name: string, text: string | Uint8Array): void {
  if (directory === undefined) return;
  appendFileSync(
    join(directory, `${name.replaceAll(/[^\w.-]/g, '_')}-${process.pid}.stream`),
    Buffer.from(text),
  );
}
