// Our own key for the Cloud Operations API, fixed or from a file that may change.
import { readFile } from 'node:fs/promises';
import { OperationsError } from './operations-error.js';

/** Asked before each call. @throws OperationsError */
export type ApiKey = () => Promise<string>;

/** What a header can carry (RFC 6750 §2.1 is narrower). */
const KEY = /^[\x21-\x7e]{1,8192}$/;

/** @throws TypeError for what no header can carry; never quotes it. */
export function fixedApiKey(key: string): ApiKey {
  if (!KEY.test(key)) throw new TypeError('the API key is not a line of printable ASCII');
  return () => Promise.resolve(key);
}

/** Reads the file each time: a key that was exchanged is used by the next call. White space around it is dropped. */
export function apiKeyFile(path: string): ApiKey {
  return async () => {
    let key: string;
    try {
      key = (await readFile(path, 'utf8')).trim();
    } catch {
      throw new OperationsError('UNAUTHENTICATED', `the API key file ${path} cannot be read`);
    }
    if (KEY.test(key)) return key;
    throw new OperationsError('UNAUTHENTICATED', `the API key file ${path} does not hold one key`);
  };
}
