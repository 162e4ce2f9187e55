// The library: seals and opens payloads in workers and clients.
export { abortAfter } from './aborting.js';
export {
  EncryptionCodec,
  type EncryptionCodecOptions,
  type EncryptionKeys,
} from './codec/encryption-codec.js';
export { KeyholePlugin, type KeyholePluginOptions } from './codec/plugin.js';
export { isKeyholeError, KeyholeError, type KeyholeErrorCode } from './errors.js';
export { parseFixedKeys, type FixedKey } from './keys/fixed-keys.js';
export type {
  FixedKeyRead,
  ForeignFormat,
  ForeignRead,
  KeylessRead,
  TemporalProxyRead,
} from './keys/foreign-reads.js';
export {
  Keyring,
  type Compress,
  type KeyringEntry,
  type WrappingKeyOf,
  type WriteFormat,
} from './keys/keyring.js';
export { awsKms, type AwsKmsClient } from './keys/providers/aws-kms.js';
export {
  azureKeyVault,
  type AzureCryptographyClient,
  type AzureKeyClient,
  type AzureKeyVaultOptions,
  type AzureKeyVersion,
} from './keys/providers/azure-key-vault.js';
export { gcpKms, type GcpKmsClient } from './keys/providers/gcp-kms.js';
export { vaultTransit, type VaultFetch, type VaultTransitOptions } from './keys/providers/vault-transit.js';
export { LocalWrappingKey, newLocalKeyFile, parseLocalKeys, type LocalKey } from './keys/providers/local.js';
export { secretBoxKey } from './keys/providers/secret-box.js';
export { parseProxyKeyUri, type ProxyKeyUri } from './keys/proxy-key-uri.js';
export type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from './keys/wrapping-key.js';
export type { KeyholeEvent, Observer } from './observer.js';
