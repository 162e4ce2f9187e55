// A headless Chromium that reaches only this machine and trusts the certificates a test names.
import { createHash, X509Certificate } from 'node:crypto';
import { chromium, type Browser } from 'playwright-core';
import { pathOf } from './catalogue.js';

export interface ChromiumOptions {
  /**
   * PEM certificates to trust: those that the servers send themselves, or a CA that they send along. Chromium then
   * loads pages and runs fetches as from any trusted site; other untrusted certificates still fail.
   */
  readonly trust?: readonly string[];
  /** Further flags. */
  readonly args?: readonly string[];
}

const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1',
];

/** End it with `close`. */
export async function launchChromium(options: ChromiumOptions = {}): Promise<Browser> {
  const trusted = (options.trust ?? []).map(publicKeyHashOf);
  return await chromium.launch({
    executablePath: pathOf('chromium'),
    headless: true,
    chromiumSandbox: false, // there is none for root, which CI is
    args: [
      ...FLAGS,
      ...(trusted.length === 0 ? [] : [`--ignore-certificate-errors-spki-list=${trusted.join(',')}`]),
      ...(options.args ?? []),
    ],
  });
}

/** What Chromium's flag takes: base64 of the SHA-256 of the SubjectPublicKeyInfo (RFC 7469 §2.4). */
function publicKeyHashOf(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}
