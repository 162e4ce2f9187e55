// Certificate and key of the HTTPS listener: what they must be, loaded, and watched for new ones.
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { TlsFiles } from '../options.js';

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  readonly expiresAtMs: number;
}

/** Files that hold a certificate and a key which are not to be served. */
export class KeyPairRefused extends Error {
  override readonly name = 'KeyPairRefused';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('; '));
    this.mistakes = mistakes;
  }
}

const MIN_RSA_BITS = 2048;
const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];
const OTHERS_OR_GROUP_WRITE = 0o026;
/** Written files settle before they are read. */
const SETTLE_MS = 200;
const LOOK_EVERY_MS = 1_000;

/** What keeps a certificate from being served; no sentence if nothing does. */
export function certificateMistakes(certificate: X509Certificate, nowMs: number): readonly string[] {
  return [
    ...(Date.parse(certificate.validFrom) > nowMs ? ['the certificate is not valid yet'] : []),
    ...(Date.parse(certificate.validTo) <= nowMs ? ['the certificate has expired'] : []),
    ...(isStrong(certificate.publicKey)
      ? []
      : [`the certificate's key is too small: RSA from ${MIN_RSA_BITS} bits on, or EC from 256`]),
  ];
}

function isStrong({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (asymmetricKeyType === 'ed25519') return true;
  if (asymmetricKeyType === 'ec') return CURVES.includes(asymmetricKeyDetails?.namedCurve ?? '');
  return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS;
}

/** Whether others can read a file of this mode, or its group can write it: no secret stays one there. */
export function isOpenToOthers(mode: number): boolean {
  return process.platform !== 'win32' && (mode & OTHERS_OR_GROUP_WRITE) !== 0;
}

/**
 * Checks what the configuration was checked for when it was read, since a watched file passes no other check.
 *
 * @throws KeyPairRefused for a key that is not the certificate's or that others can read, a certificate that has expired,
 * is not valid yet or is too weak; Error for files that cannot be read or are no PEM.
 */
export async function loadKeyPair(
  { cert: certPath, key: keyPath }: TlsFiles,
  nowMs: number,
): Promise<KeyPair> {
  const [cert, key, { mode }] = await Promise.all([
    readFile(certPath, 'utf8'),
    readFile(keyPath, 'utf8'),
    stat(keyPath),
  ]);
  const certificate = new X509Certificate(cert);
  const mistakes = [...certificateMistakes(certificate, nowMs)];
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    mistakes.push(`the key ${keyPath} is not that of the certificate ${certPath}`);
  }
  if (isOpenToOthers(mode))
    mistakes.push(`the key ${keyPath} can be read by others, or written by its group`);
  if (mistakes.length > 0) throw new KeyPairRefused(mistakes);
  createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
  return { cert, key, expiresAtMs: Date.parse(certificate.validTo) };
}

/**
 * Calls `changed` after one of the files has become another: rewritten, replaced, or behind a link that was swapped, as
 * Kubernetes does, and whether or not it is gone for a while. Looks at them every second, which unlike a
 * notification cannot fail, and outlives their directory. Ends with the function it returns.
 */
export function watchKeyPair({ cert, key }: TlsFiles, changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const soon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(changed, SETTLE_MS);
  };
  const files = new Set([cert, key]);
  for (const file of files) watchFile(file, { persistent: false, interval: LOOK_EVERY_MS }, soon);
  return () => {
    clearTimeout(timer);
    for (const file of files) unwatchFile(file, soon);
  };
}
