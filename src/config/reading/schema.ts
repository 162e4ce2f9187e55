// The keys of `keyhole.yaml`: their form, default and bounds. What they mean together is for the sections to check.
import { z } from 'zod';
import { isRole, ROLE_NAMES } from '../../access/roles/role-names.js';
import { isCredentialName } from '../../access/tokens/credentials.js';
import { isDay } from '../../keys/foreign-reads.js';
import { DEFAULT_LIMITS, LIMIT_BOUNDS, type Limits } from '../../server/limits.js';
import {
  accountId,
  address,
  audience,
  claim,
  emailDomains,
  flag,
  httpsUrl,
  isCidr,
  list,
  namespacePattern,
  oneOf,
  orRequired,
  path,
  section,
  some,
  subjectPattern,
  text,
  wholeNumber,
} from './forms.js';

/** Keys and their schemas, each checked by itself. */
export type Shape = Readonly<Record<string, z.ZodType>>;

/** The whole file; `keys`, `access` and `audit` are shapes of their own. */
export const FILE = {
  listen: address.prefault('127.0.0.1:8081'),
  publicUrl: text.optional(),
  trustedProxies: list(text.refine(isCidr, { error: 'must be a CIDR' })).default([]),
  tls: section({ cert: path, key: path }).optional(),
  cors: section({
    origins: list(text).default(['https://cloud.temporal.io']),
    credentials: flag.default(true),
  }).prefault({}),
  denied: oneOf('error', 'encrypted', 'notice').default('error'),
  limits: section(limits()).default(DEFAULT_LIMITS),
  keys: some(z.unknown()).optional(),
  access: z.unknown().optional(),
  audit: z.unknown().default({}),
  metrics: section({ listen: address.prefault('127.0.0.1:9464') }).prefault({}),
} as const satisfies Shape;

/** `audit`, where it is not `stdout`. */
export const AUDIT = {
  file: path.default('./keyhole-audit.ndjson'),
  webhook: section({ url: httpsUrl(), authorizationFile: path.optional(), ca: path.optional() }).optional(),
} as const satisfies Shape;

const wrappingKey = z.discriminatedUnion(
  'provider',
  [
    section({ provider: z.literal('aws-kms'), key: text.default('alias/{namespace}') }),
    section({ provider: z.literal('gcp-kms'), key: text }),
    section({ provider: z.literal('azure-key-vault'), key: text }),
    section({
      provider: z.literal('vault-transit'),
      address: text,
      mount: text.default('transit'),
      vaultNamespace: text.optional(),
      key: text.default('{namespace}'),
      tokenFile: path,
    }),
    section({ provider: z.literal('local'), file: path }),
  ],
  {
    error: (issue) =>
      issue.input === undefined
        ? 'is required'
        : 'note' in issue
          ? 'must be one of aws-kms, gcp-kms, azure-key-vault, vault-transit, local'
          : 'must be a mapping with provider, …',
  },
);

const until = text.refine(isDay, { error: 'must be a day, such as 2027-06-30' }).optional();

/** One of `reads`; a name alone stands for `{ format: NAME }`. */
const read = z.preprocess(
  (written) => (typeof written === 'string' ? { format: written } : written),
  z.discriminatedUnion(
    'format',
    [
      section({ format: z.literal(['encryption-jwt', 'compression']), until }),
      section({ format: z.literal(['static-key', 'fernet', 'temporal-proxy']), keys: path, until }),
    ],
    {
      error: (issue) =>
        'note' in issue
          ? 'must be one of encryption-jwt, compression, static-key, fernet, temporal-proxy'
          : 'must be a format, or a mapping with format, keys, until',
    },
  ),
);

/** One entry of `keys`. */
export const KEYS_ENTRY = {
  namespaces: some(namespacePattern),
  write: oneOf('keyhole/v1', 'encryption-jwt').default('keyhole/v1'),
  wrap: wrappingKey,
  unwrap: list(wrappingKey).default([]),
  reads: list(read).default([]),
  insecureSharedKeyReads: flag.default(false),
  compress: section({ aboveBytes: wholeNumber(1, 16 * 2 ** 20) }).optional(),
  passThrough: oneOf('allow', 'refuse').default('allow'),
} as const satisfies Shape;

/** What `keys` is where no such section is written: the seed's. */
export const SEED_KEYS: readonly unknown[] = [
  {
    namespaces: ['*'],
    wrap: { provider: 'aws-kms', key: 'alias/{namespace}' },
    reads: ['encryption-jwt'],
  },
];

const DEFAULT_RULES = [
  {
    roles: ['account:owner', 'account:admin', 'inherited:admin', 'namespace:admin'],
    may: ['decode', 'encode', 'download'],
  },
  { roles: ['inherited:write', 'namespace:write'], may: ['encode'] },
];

export const ACCESS = {
  account: accountId.optional(),
  issuers: some(z.unknown()).default([{ preset: 'temporal-cloud' }]),
  signIn: z.unknown().optional(),
  roles: z.unknown().default({}),
  rules: some(z.unknown()).default(DEFAULT_RULES),
  credentials: list(z.unknown()).default([]),
} as const satisfies Shape;

/** One entry of `access.credentials`. */
export const CREDENTIAL = {
  name: text.refine(isCredentialName, {
    error: 'must be a name of letters, digits, ".", "_" and "-"',
  }),
  sha256: text.regex(/^[0-9a-f]{64}$/, { error: 'must be a SHA-256 in lower-case hex' }),
  roles: some(text),
  expires: text.refine(isDay, { error: 'must be a day, such as 2027-06-30' }),
} as const satisfies Shape;

/** One entry of `access.issuers` that names a preset. */
export const PRESET_ISSUER = {
  preset: oneOf('temporal-cloud'),
  emailDomains: emailDomains().optional(),
  subjects: some(subjectPattern()).optional(),
} as const satisfies Shape;

/** One entry of `access.issuers` that does not. */
export const ISSUER = {
  issuer: httpsUrl(),
  audience: z
    .union([audience(), some(audience())], {
      error: orRequired('must be a name, or a list of names'),
    })
    .transform((one) => [one].flat()),
  jwks: httpsUrl().optional(),
  ca: path.optional(),
  claims: section({
    email: text.default('email'),
    emailVerified: text.optional(),
    permissions: claim().default('permissions'),
    groups: claim().optional(),
  }).prefault({}),
  emailDomains: emailDomains().optional(),
  subjects: some(subjectPattern()).optional(),
  accept: some(oneOf('bearer', 'session')).optional(),
} as const satisfies Shape;

export const SIGN_IN = {
  issuer: text,
  clientId: text,
  clientSecretFile: path,
  sessionSecretFile: path,
  scopes: some(text.regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,64}$/, { error: 'must be a scope' })) // RFC 6749 §3.3
    .refine((names) => names.includes('openid'), { error: 'must have openid among them' })
    .default(['openid', 'email']),
} as const satisfies Shape;

export const ROLES = {
  source: oneOf('temporal-cloud', 'static', 'token-claims').default('temporal-cloud'),
  ca: path.optional(),
  apiKeyFile: path.optional(),
  people: z.record(z.string(), list(text), { error: 'must be a mapping from e-mail to roles' }).optional(),
  groups: z.record(z.string(), list(text), { error: 'must be a mapping from group to roles' }).optional(),
  freshSeconds: wholeNumber(1, 300).default(60),
  staleSeconds: wholeNumber(1, 900).default(300),
} as const satisfies Shape;

/** One entry of `access.rules`. */
export const RULE = {
  roles: some(text.refine(isRole, { error: `must be one of ${ROLE_NAMES}` })),
  may: some(oneOf('decode', 'encode', 'download')),
  namespaces: some(namespacePattern).optional(),
} as const satisfies Shape;

function limits(): { [K in keyof Limits]: z.ZodDefault<z.ZodInt> } {
  const entries = Object.entries(LIMIT_BOUNDS).map(([name, { least, most, default: value }]) => [
    name,
    wholeNumber(least, most).default(value),
  ]);
  return Object.fromEntries(entries) as { [K in keyof Limits]: z.ZodDefault<z.ZodInt> };
}
