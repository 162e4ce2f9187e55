// `keys`: which wrapping key serves which namespaces, key files read.
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { isKeyholeError } from '../../errors.js';
import { isNamespaceTemplate } from '../../keys/key-template.js';
import type { WrappingKeyOf } from '../../keys/keyring.js';
import { areRivals } from '../../keys/namespace-patterns.js';
import { azureKeyVault } from '../../keys/providers/azure-key-vault.js';
import { gcpKms } from '../../keys/providers/gcp-kms.js';
import type { KeysConfig, WrappingKeyConfig } from '../config.js';
import { awsProblem, AZURE_SDKS, openVaultTransit, sdkProblem } from '../open-wrapping-key.js';
import { readLocalKeyFile } from '../reading/local-key-file.js';
import { pathTo } from '../reading/problems.js';
import { readShape, type ReadShape } from '../reading/read-shape.js';
import { KEYS_ENTRY, SEED_KEYS } from '../reading/schema.js';
import { readTextFile } from '../reading/text-file.js';
import { UNASKED_AZURE, UNASKED_GCP } from '../unasked-clients.js';
import { fileIn, type Place } from './place.js';
import { resolveRead, type ResolvedRead } from './reads.js';

type Entry = ReadShape<typeof KEYS_ENTRY>;
type Written = NonNullable<Entry['wrap']>;

/** A key, and where it stands. */
interface Used {
  /** What is the same wherever the same key is used; `undefined` where each namespace has a key of its own. */
  readonly identities: readonly string[] | undefined;
  readonly path: string;
}

/** A wrapping key. */
interface Resolved extends Used {
  readonly config: WrappingKeyConfig;
}

/** The entries that could be read; all of them if no problem was found. */
export async function readKeys(list: readonly unknown[] | undefined, place: Place): Promise<KeysConfig[]> {
  const { problems } = place;
  const written = (list ?? SEED_KEYS).map((value, index) => {
    const path = list === undefined ? 'keys' : pathTo('keys', index);
    return { path, entry: readShape(KEYS_ENTRY, value, path, problems) };
  });
  checkRivals(written, place);
  const all: KeysConfig[] = [];
  const used: UsedInEntry[] = [];
  for (const { path, entry } of written) {
    const wrap =
      entry.wrap === undefined ? undefined : await resolveKey(entry.wrap, `${path}.wrap`, entry, place);
    const unwrap: Resolved[] = [];
    for (const [index, key] of (entry.unwrap ?? []).entries()) {
      const resolved = await resolveKey(key, `${path}.unwrap[${index}]`, entry, place);
      if (resolved !== undefined) unwrap.push(resolved);
    }
    const reads: ResolvedRead[] = [];
    for (const [index, read] of (entry.reads ?? []).entries()) {
      const resolved = await resolveRead(read, `${path}.reads[${index}]`, place);
      if (resolved !== undefined) reads.push(resolved);
    }
    checkReads(entry, path, place);
    for (const key of wrap === undefined ? unwrap : [wrap, ...unwrap])
      used.push({ entry, key, format: isJwt(entry) ? 'encryption-jwt' : undefined });
    for (const key of reads)
      if (key.identities.length > 0) used.push({ entry, key, format: key.config.format });
    const { namespaces, write, passThrough, insecureSharedKeyReads, compress } = entry;
    if (wrap === undefined || namespaces === undefined || write === undefined) continue;
    if (passThrough === undefined) continue;
    all.push({
      namespaces,
      write,
      wrap: wrap.config,
      unwrap: unwrap.map(({ config }) => config),
      reads: reads.map(({ config }) => config),
      ...(insecureSharedKeyReads === true ? { insecureSharedKeyReads } : {}),
      ...(compress === undefined ? {} : { compress }),
      passThrough,
    });
  }
  checkUnshared(used, place);
  return all;
}

/** Two entries, or two patterns of one, that are equally specific for some namespace. */
function checkRivals(written: readonly { path: string; entry: Entry }[], { problems }: Place): void {
  const patterns = written.flatMap(({ path, entry }) =>
    (entry.namespaces ?? []).map((pattern, index) => ({ pattern, path: `${path}.namespaces[${index}]` })),
  );
  for (const [index, { pattern, path }] of patterns.entries()) {
    const rival = patterns.slice(0, index).find((other) => areRivals(other.pattern, pattern));
    if (rival !== undefined) problems.add(path, `is as specific as ${rival.path} for some namespace`);
  }
}

async function resolveKey(
  written: Written,
  path: string,
  { namespaces = [] }: Entry,
  place: Place,
): Promise<Resolved | undefined> {
  if (written.provider === 'aws-kms') {
    const { provider, key } = written;
    const template = isNamespaceTemplate(key);
    const sentence = awsKeyProblem(key, namespaces) ?? (await awsProblem(key, place.env));
    if (sentence !== undefined) place.problems.add(`${path}.key`, sentence);
    return { config: { provider, key }, identities: template ? undefined : [`aws-kms ${key}`], path };
  }
  if (written.provider === 'gcp-kms') return resolveGcpKey(written, path, namespaces, place);
  if (written.provider === 'azure-key-vault') return resolveAzureKey(written, path, namespaces, place);
  if (written.provider === 'vault-transit') return await resolveTransitKey(written, path, namespaces, place);
  const file = fileIn(place, written.file);
  const keys = await readLocalKeyFile(file, `${path}.file`, place);
  if (keys === undefined) return undefined;
  const secrets = keys.map(({ secret }) => createHash('sha256').update(secret).digest('hex'));
  const identities = [`local ${await realpath(file)}`, ...secrets];
  return { config: { provider: 'local', keys }, identities, path };
}

function resolveGcpKey(
  { provider, key }: Extract<Written, { provider: 'gcp-kms' }>,
  path: string,
  namespaces: readonly string[],
  { env, problems }: Place,
): Resolved {
  const sentence = providerProblem(() => gcpKms({ client: UNASKED_GCP, key }), namespaces);
  const missing = sentence ?? sdkProblem('@google-cloud/kms');
  if (missing !== undefined) problems.add(`${path}.key`, missing);
  if ((env['GOOGLE_SDK_NODE_LOGGING'] ?? '') !== '')
    problems.add('GOOGLE_SDK_NODE_LOGGING', 'must not be set: the SDK of gcp-kms would log data keys');
  return { config: { provider, key }, identities: ownOf(key, `gcp-kms ${key}`), path };
}

function resolveAzureKey(
  { provider, key }: Extract<Written, { provider: 'azure-key-vault' }>,
  path: string,
  namespaces: readonly string[],
  { problems, warnings }: Place,
): Resolved {
  const sentence = providerProblem(() => azureKeyVault({ key, ...UNASKED_AZURE }), namespaces);
  const missing = sentence ?? AZURE_SDKS.map(sdkProblem).find((problem) => problem !== undefined);
  if (missing !== undefined) problems.add(`${path}.key`, missing);
  warnings.push(
    `${path}: with azure-key-vault whoever has the public key can seal: what opens is secret, its origin is not proven`,
  );
  return { config: { provider, key }, identities: ownOf(key, `azure-key-vault ${key}`), path };
}

async function resolveTransitKey(
  { tokenFile, vaultNamespace, ...written }: Extract<Written, { provider: 'vault-transit' }>,
  path: string,
  namespaces: readonly string[],
  place: Place,
): Promise<Resolved> {
  const file = fileIn(place, tokenFile);
  const config = { ...written, tokenFile: file, ...(vaultNamespace === undefined ? {} : { vaultNamespace }) };
  const sentence = providerProblem(() => openVaultTransit(config), namespaces);
  if (sentence !== undefined) place.problems.add(path, sentence);
  const token = await readTextFile(file, { secret: true });
  if ('sentence' in token) place.problems.add(`${path}.tokenFile`, token.sentence);
  else if (!/^[\x21-\x7e]+$/.test(token.text.trim()))
    place.problems.add(`${path}.tokenFile`, `the file ${file} does not hold one token`);
  const { address, mount, key } = config;
  const identity = ['vault-transit', address, vaultNamespace ?? '', mount, key].join(' ');
  return { config, identities: ownOf(key, identity), path };
}

/** What a provider itself says against its options, or against a namespace that is listed by name. */
function providerProblem(make: () => WrappingKeyOf, namespaces: readonly string[]): string | undefined {
  try {
    const keyOf = make();
    for (const namespace of namespaces) if (!namespace.includes('*')) keyOf(namespace);
    return undefined;
  } catch (error) {
    if (error instanceof TypeError || isKeyholeError(error)) return error.message;
    throw error;
  }
}

function ownOf(key: string, identity: string): readonly string[] | undefined {
  return isNamespaceTemplate(key) ? undefined : [identity];
}

/** AWS KMS API reference, `KeyId`: a key id, an alias, or the ARN of either. */
const AWS_KEY =
  /^(arn:[\w-]+:kms:[\w-]+:\d{12}:(key\/[\w-]+|alias\/[\w/{}-]+)|alias\/[\w/{}-]+|(mrk-)?[0-9a-f-]{32,36})$/;

function awsKeyProblem(key: string, namespaces: readonly string[]): string | undefined {
  if (!AWS_KEY.test(key) || /[{}]/.test(key.replaceAll('{namespace}', ''))) {
    return 'must be an alias, an ARN or a key id of AWS KMS, with {namespace} for the namespace';
  }
  const name = namespaces.find((pattern) => !pattern.includes('*') && pattern.includes('_'));
  if (!isNamespaceTemplate(key) || name === undefined) return undefined;
  return 'a namespace with "_" in its name cannot use {namespace}: name its key';
}

/** A key in its entry, with the format that opens under it without binding a namespace. */
interface UsedInEntry {
  readonly entry: Entry;
  readonly key: Used;
  readonly format: string | undefined;
}

/**
 * A format that binds no namespace opens under whatever key is asked, so its key serves one namespace only
 * (docs/format.md, "One key, one namespace").
 */
function checkUnshared(used: readonly UsedInEntry[], { problems }: Place): void {
  for (const { entry, key, format } of used) {
    const { identities, path } = key;
    if (format === undefined || identities === undefined || entry.insecureSharedKeyReads === true) continue;
    const { namespaces = [] } = entry;
    const elsewhere = used.find(
      (other) => other.entry !== entry && other.key.identities?.some((id) => identities.includes(id)),
    );
    if (namespaces.length > 1 || namespaces.some((pattern) => pattern.includes('*'))) {
      problems.add(path, `serves several namespaces, so ${format}, which binds none, cannot be used with it`);
    } else if (elsewhere !== undefined) {
      problems.add(
        path,
        `is the key of ${elsewhere.key.path} too, so ${format}, which binds no namespace, cannot be used with it`,
      );
    }
  }
}

function isJwt({ write, reads = [] }: Entry): boolean {
  return write === 'encryption-jwt' || reads.some(({ format }) => format === 'encryption-jwt');
}

function checkReads(
  { reads = [], write, compress, insecureSharedKeyReads }: Entry,
  path: string,
  place: Place,
): void {
  for (const [index, { format }] of reads.entries()) {
    const first = reads.findIndex((other) => other.format === format);
    if (first < index) place.problems.add(`${path}.reads[${index}]`, `is there already as reads[${first}]`);
  }
  if (compress !== undefined && write === 'encryption-jwt')
    place.problems.add(`${path}.compress`, 'only keyhole/v1 is compressed before it is sealed');
  if (insecureSharedKeyReads === true)
    place.warnings.push(`${path}.insecureSharedKeyReads: payloads of one namespace may open in another`);
}
