// `keys`: which wrapping key serves which namespaces, key files read.
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { isNamespaceTemplate } from '../keys/key-template.js';
import { areRivals } from '../keys/keyring.js';
import type { KeysConfig, WrappingKeyConfig } from './config.js';
import { readLocalKeyFile } from './local-key-file.js';
import { awsProblem } from './open-wrapping-key.js';
import { fileIn, type Place } from './place.js';
import { pathTo } from './problems.js';
import { readShape, type ReadShape } from './read-shape.js';
import { KEYS_ENTRY, SEED_KEYS } from './schema.js';

type Entry = ReadShape<typeof KEYS_ENTRY>;
type Written = NonNullable<Entry['wrap']>;

/** A wrapping key, what is the same wherever the same key is used, and where it stands. */
interface Resolved {
  readonly config: WrappingKeyConfig;
  /** `undefined` where each namespace has a key of its own. */
  readonly identities: readonly string[] | undefined;
  readonly path: string;
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
  const used: { entry: Entry; resolved: Resolved }[] = [];
  for (const { path, entry } of written) {
    const wrap =
      entry.wrap === undefined ? undefined : await resolveKey(entry.wrap, `${path}.wrap`, entry, place);
    const unwrap: Resolved[] = [];
    for (const [index, key] of (entry.unwrap ?? []).entries()) {
      const resolved = await resolveKey(key, `${path}.unwrap[${index}]`, entry, place);
      if (resolved !== undefined) unwrap.push(resolved);
    }
    for (const resolved of wrap === undefined ? unwrap : [wrap, ...unwrap]) used.push({ entry, resolved });
    const { namespaces, write, reads, passThrough } = entry;
    if (wrap === undefined || namespaces === undefined || write === undefined) continue;
    if (reads === undefined || passThrough === undefined) continue;
    const keys = { wrap: wrap.config, unwrap: unwrap.map(({ config }) => config) };
    all.push({ namespaces, write, reads, passThrough, ...keys });
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
  const file = fileIn(place, written.file);
  const keys = await readLocalKeyFile(file, `${path}.file`, place);
  if (keys === undefined) return undefined;
  const secrets = keys.map(({ secret }) => createHash('sha256').update(secret).digest('hex'));
  const identities = [`local ${await realpath(file)}`, ...secrets];
  return { config: { provider: 'local', keys }, identities, path };
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

/**
 * A format that binds no namespace opens under whatever key is asked, so its key serves one namespace only
 * (docs/format.md, "One key, one namespace").
 */
function checkUnshared(used: readonly { entry: Entry; resolved: Resolved }[], { problems }: Place): void {
  for (const { entry, resolved } of used) {
    const { identities, path } = resolved;
    if (!isUnbound(entry) || identities === undefined) continue;
    const { namespaces = [] } = entry;
    const elsewhere = used.find(
      (other) => other.entry !== entry && other.resolved.identities?.some((id) => identities.includes(id)),
    );
    if (namespaces.length > 1 || namespaces.some((pattern) => pattern.includes('*'))) {
      problems.add(
        path,
        'serves several namespaces, so encryption-jwt, which binds none, cannot be used with it',
      );
    } else if (elsewhere !== undefined) {
      problems.add(
        path,
        `is the key of ${elsewhere.resolved.path} too, so encryption-jwt, which binds no namespace, cannot be used with it`,
      );
    }
  }
}

function isUnbound({ write, reads }: Entry): boolean {
  return write === 'encryption-jwt' || (reads ?? []).length > 0;
}
