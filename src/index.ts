// The library: seals and opens payloads in workers and clients.
export { EncryptionCodec, type EncryptionCodecOptions } from './codec/encryption-codec.js';
export { KeyholePlugin, type KeyholePluginOptions } from './codec/plugin.js';
export { isKeyholeError, KeyholeError, type KeyholeErrorCode } from './errors.js';
export {
  Keyring,
  type ForeignFormat,
  type KeyringEntry,
  type WrappingKeyOf,
  type WriteFormat,
} from './keys/keyring.js';
export { awsKms, type AwsKmsClient } from './keys/providers/aws-kms.js';
export { LocalWrappingKey, newLocalKeyFile, parseLocalKeys, type LocalKey } from './keys/providers/local.js';
export type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from './keys/wrapping-key.js';
export type { KeyholeEvent, Observer } from './observer.js';
