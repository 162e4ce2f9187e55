// The URIs by which temporal-proxy's configuration, hence its payloads, name wrapping keys (gocloud.dev/secrets).
import { DATA_KEY_BYTES } from './data-key.js';

export type ProxyKeyUri =
  | {
      readonly scheme: 'awskms';
      /** An ARN, an alias or a key id. */
      readonly key: string;
      readonly region?: string;
      /** The encryption context of every call, in place of ours. */
      readonly context: Readonly<Record<string, string>>;
    }
  /** A resource name without a version. */
  | { readonly scheme: 'gcpkms'; readonly key: string }
  /** `https://VAULT/keys/NAME`, with or without a version. */
  | { readonly scheme: 'azurekeyvault'; readonly key: string }
  /** The proxy's `testing://`: the URI is the key. */
  | { readonly scheme: 'base64key'; readonly secret: Uint8Array };

const CONTEXT = 'context_';
const BASE64_KEY = 'base64key://';

/** @throws TypeError for a URI of another form; it does not repeat it, for some are keys. */
export function parseProxyKeyUri(uri: string): ProxyKeyUri {
  if (typeof (uri as unknown) !== 'string') throw new TypeError('is not a key URI of temporal-proxy');
  if (uri.startsWith(BASE64_KEY)) return { scheme: 'base64key', secret: secretIn(uri) };
  if (!URL.canParse(uri)) throw new TypeError('is not a key URI of temporal-proxy');
  const { protocol, host, pathname, searchParams } = new URL(uri);
  const key = `${host}${pathname}`.replace(/^\//, '');
  switch (protocol) {
    case 'awskms:':
      return { scheme: 'awskms', key, ...awsParameters(searchParams) };
    case 'gcpkms:':
      assertNone(searchParams);
      return { scheme: 'gcpkms', key };
    case 'azurekeyvault:':
      if (searchParams.get('algorithm') === 'RSA-OAEP-256') searchParams.delete('algorithm');
      assertNone(searchParams);
      return { scheme: 'azurekeyvault', key: `https://${key}` };
    default:
      throw new TypeError('is a key URI of a scheme that is not known here');
  }
}

function awsParameters(parameters: URLSearchParams): { region?: string; context: Record<string, string> } {
  const region = parameters.get('region');
  parameters.delete('region');
  const context: Record<string, string> = {};
  for (const [name, value] of [...parameters]) {
    if (!name.startsWith(CONTEXT) || parameters.getAll(name).length > 1) continue;
    context[name.slice(CONTEXT.length)] = value;
    parameters.delete(name, value);
  }
  assertNone(parameters);
  return region === null ? { context } : { region, context };
}

function assertNone(parameters: URLSearchParams): void {
  const [first] = parameters.keys();
  if (first !== undefined) throw new TypeError(`has the parameter "${first}", which is not supported here`);
}

/** In base64url with padding, as gocloud.dev demands. */
function secretIn(uri: string): Uint8Array {
  const text = uri.slice(BASE64_KEY.length);
  const secret = Buffer.from(text, 'base64url');
  if (secret.length === DATA_KEY_BYTES && `${secret.toString('base64url')}=` === text) return secret;
  throw new TypeError('is a base64key URI without 32 bytes in base64url');
}
