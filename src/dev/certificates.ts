// A certificate authority that lives as long as the process, with one server certificate for this machine.

export interface Certificates {
  /** PEM of the authority: what a caller has to trust. */
  readonly ca: string;
  /** PEM of the server certificate. */
  readonly cert: string;
  /** PEM (PKCS #8) of its private key. */
  readonly key: string;
}

export interface CertificateOptions {
  /** DNS names of the certificate. Default is `localhost`. */
  readonly dns?: readonly string[];
  /** Addresses of the certificate. Default is `127.0.0.1` and `::1`. */
  readonly addresses?: readonly string[];
  /** How long authority and certificate are valid, in days from one hour ago. Default is 30. */
  readonly days?: number;
  /** Default is the system's clock. */
  readonly now?: () => number;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Makes a fresh authority and a server certificate signed by it (ECDSA P-256). Needs `@peculiar/x509`. */
export async function makeCertificates(options: CertificateOptions = {}): Promise<Certificates> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const notBefore = new Date((options.now ?? Date.now)() - HOUR_MS);
  const notAfter = new Date(notBefore.getTime() + (options.days ?? 30) * DAY_MS);
  const validity = { notBefore, notAfter, signingAlgorithm: ECDSA };
  const authorityKeys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serialNumber(),
    name: 'CN=Keyhole dev authority',
    keys: authorityKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const leafKeys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const leaf = await x509.X509CertificateGenerator.create({
    ...validity,
    serialNumber: serialNumber(),
    subject: 'CN=localhost',
    issuer: authority.subject,
    publicKey: leafKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
      new x509.SubjectAlternativeNameExtension([
        ...(options.dns ?? ['localhost']).map((value) => ({ type: 'dns' as const, value })),
        ...(options.addresses ?? ['127.0.0.1', '::1']).map((value) => ({ type: 'ip' as const, value })),
      ]),
    ],
  });
  const key = await crypto.subtle.exportKey('pkcs8', leafKeys.privateKey);
  return {
    ca: authority.toString('pem'),
    cert: leaf.toString('pem'),
    key: x509.PemConverter.encode(key, 'PRIVATE KEY'),
  };
}

/** A positive random serial number (RFC 5280 §4.1.2.2), as hex. */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `4b${Buffer.from(bytes).toString('hex')}`;
}
