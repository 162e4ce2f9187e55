// Stand where the clients of key services would: options are checked without one.
import type { AzureKeyVaultOptions } from '../keys/providers/azure-key-vault.js';
import type { GcpKmsClient } from '../keys/providers/gcp-kms.js';

export const UNASKED_GCP: GcpKmsClient = { initialize: unasked, encrypt: unasked, decrypt: unasked };

export const UNASKED_AZURE: Pick<AzureKeyVaultOptions, 'keyClient' | 'cryptographyClient'> = {
  keyClient: { getKey: unasked },
  cryptographyClient: () => ({ wrapKey: unasked, unwrapKey: unasked }),
};

function unasked(): Promise<never> {
  return Promise.reject(new Error('a configuration asks no key service'));
}
