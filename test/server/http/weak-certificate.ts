// A certificate whose key is too small to be served.
import 'reflect-metadata';
import { PemConverter, X509CertificateGenerator } from '@peculiar/x509';
import type { Certificates } from '../../../src/dev/certificates.js';

/** RSA with 1024 bits, valid for a day. */
export async function makeWeakCertificate(): Promise<Pick<Certificates, 'cert' | 'key'>> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 1_024,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const notAfter = new Date(Date.now() + 86_400_000);
  const signed = await X509CertificateGenerator.createSelfSigned({ name: 'CN=localhost', keys, notAfter });
  const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: signed.toString('pem'), key: PemConverter.encode(key, 'PRIVATE KEY') };
}
