// Certificate and key of the HTTPS listener: loaded, checked, and watched for new ones.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { TlsFiles } from './options.js';

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  readonly expiresAtMs: number;
}

/** Written files settle before they are read. */
const SETTLE_MS = 200;

/** @throws Error for files that cannot be read, that are no PEM, or where the key is not the certificate's. */
export async function loadKeyPair({ cert: certPath, key: keyPath }: TlsFiles): Promise<KeyPair> {
  const [cert, key] = await Promise.all([readFile(certPath, 'utf8'), readFile(keyPath, 'utf8')]);
  const certificate = new X509Certificate(cert);
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`the key ${keyPath} is not that of the certificate ${certPath}`);
  }
  createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
  return { cert, key, expiresAtMs: Date.parse(certificate.validTo) };
}

/**
 * Calls `changed` after something in the files' directories changed. Directories, since Kubernetes swaps a link
 * beside the files. Ends with the function it returns.
 */
export function watchKeyPair({ cert, key }: TlsFiles, changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const soon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(changed, SETTLE_MS);
  };
  const watchers: FSWatcher[] = [...new Set([dirname(cert), dirname(key)])].map((directory) =>
    watch(directory, { persistent: false }, soon).on('error', soon),
  );
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
