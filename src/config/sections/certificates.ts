// A private CA that a setting names.
import { X509Certificate } from 'node:crypto';
import { readTextFile } from '../reading/text-file.js';
import type { Place } from './place.js';

/** A private CA. */
export async function readCertificates(
  file: string,
  path: string,
  { problems }: Place,
): Promise<string | undefined> {
  const result = await readTextFile(file, { secret: false, maxBytes: 1 << 20 });
  if ('sentence' in result) problems.add(path, result.sentence);
  else if (isCertificate(result.text)) return result.text;
  else problems.add(path, `the file ${file} does not hold a certificate in PEM`);
  return undefined;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
