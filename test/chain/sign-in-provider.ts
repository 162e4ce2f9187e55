// The OpenID provider at which codec servers let people sign in, and what their configuration says of it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Certificates } from '../../src/dev/certificates.js';
import { startIdentityProvider, type IdentityProvider } from '../../src/dev/identity/identity-provider.js';
import type { Person } from '../../src/dev/people.js';
import { plantSecret } from '../streams.js';

export interface SignInProvider extends IdentityProvider {
  /** What `signIn` names, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** `access.signIn`, with the files in `directory`. Default is the configuration's own. */
  readonly signIn: (directory?: string) => object;
}

export interface SignInProviderOptions {
  readonly certificates: Certificates;
  readonly people: readonly Person[];
  /** The `publicUrl` of each codec server. */
  readonly codecs: readonly string[];
}

/** Its tokens are for the audience `keyhole`. */
export async function startSignInProvider({
  certificates,
  people,
  codecs,
}: SignInProviderOptions): Promise<SignInProvider> {
  const [clientId, clientSecret] = ['keyhole', plantSecret(randomBytes(16).toString('hex'))];
  const redirects = codecs.map((codec) => `${codec}/signin/callback`);
  const clients = [{ client_id: clientId, client_secret: clientSecret, redirect_uris: redirects }];
  const provider = await startIdentityProvider({ certificates, people, clients, audience: 'keyhole' });
  return {
    ...provider,
    files: {
      'client-secret': clientSecret,
      'session-secret': plantSecret(randomBytes(32).toString('base64')),
    },
    signIn: (directory = '') => ({
      issuer: provider.issuer,
      clientId,
      clientSecretFile: join(directory, 'client-secret'),
      sessionSecretFile: join(directory, 'session-secret'),
    }),
  };
}
