// Whether certificate and key of the HTTPS listener can be used, each mistake at the setting it belongs to.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
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

/** The certificate's end is told that long before: as long as deploy/prometheus does. */
const ENDS_SOON_MS = 14 * 86_400_000;

/** `publicUrl` as it is written. */
export async function checkKeyPair(
  { cert, key }: KeyPairFiles,
  publicUrl: string | undefined,
  place: Place,
): Promise<TlsFiles> {
  const certificate = await read(cert, false, place, (pem) => new X509Certificate(pem), 'certificate');
  const privateKey = await read(key, true, place, createPrivateKey, 'private key without a passphrase');
  if (certificate !== undefined) {
    for (const mistake of certificateMistakes(certificate, place.nowMs))
      place.problems.add(cert.path, mistake);
    for (const sentence of certificateWarnings(certificate, publicUrl, place.nowMs))
      place.warnings.push(`${cert.path}: ${sentence}`);
  }
  if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
    place.problems.add(key.path, 'is not the key of the certificate');
  }
  return { cert: cert.value, key: key.value };
}

/** What does not keep a certificate from being served, but soon will, or keeps callers away. */
function certificateWarnings(
  certificate: X509Certificate,
  publicUrl: string | undefined,
  nowMs: number,
): readonly string[] {
  const end = new Date(certificate.validTo);
  const host = publicUrl !== undefined && URL.canParse(publicUrl) ? hostOf(new URL(publicUrl)) : undefined;
  return [
    ...(end.getTime() - nowMs < ENDS_SOON_MS ? [`the certificate ends soon, at ${end.toISOString()}`] : []),
    ...(host === undefined || isNamed(certificate, host)
      ? []
      : [`the certificate does not name ${host}, the host of publicUrl`]),
  ];
}

/** As a certificate names it: an IPv6 address without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function isNamed(certificate: X509Certificate, host: string): boolean {
  const name = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  return name !== undefined;
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
    problems.add(path, `the file ${value} does not hold a ${what} in PEM`);
    return undefined;
  }
}
