// Whether certificate and key of the HTTPS listener can be used, each mistake at the setting it belongs to.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { TlsFiles } from '../../server/app.js';
import { certificateMistakes } from '../../server/http/tls.js';
import type { Sourced } from '../environment.js';
import { readTextFile } from '../reading/text-file.js';
import type { Place } from './place.js';

/** Paths, absolute, and where they were given. */
export interface KeyPairFiles {
  readonly cert: Sourced<string>;
  readonly key: Sourced<string>;
}

export async function checkKeyPair({ cert, key }: KeyPairFiles, place: Place): Promise<TlsFiles> {
  const certificate = await read(cert, false, place, (pem) => new X509Certificate(pem), 'certificate');
  const privateKey = await read(key, true, place, createPrivateKey, 'private key without a passphrase');
  if (certificate !== undefined) {
    for (const mistake of certificateMistakes(certificate, place.nowMs))
      place.problems.add(cert.path, mistake);
  }
  if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
    place.problems.add(key.path, 'is not the key of the certificate');
  }
  return { cert: cert.value, key: key.value };
}

async function read<T>(
  { value, path }: Sourced<string>,
  secret: boolean,
  { problems }: Place,
  parse: (pem: string) => T,
  what: string,
): Promise<T | undefined> {
  const file = await readTextFile(value, { secret });
  if ('sentence' in file) {
    problems.add(path, file.sentence);
    return undefined;
  }
  try {
    return parse(file.text);
  } catch {
    problems.add(path, `the file does not hold a ${what} in PEM`);
    return undefined;
  }
}
