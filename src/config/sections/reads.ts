// `reads` of one entry of `keys`: which foreign formats open, their key files read.
import { FixedKeys, parseFixedKeys } from '../../keys/fixed-keys.js';
import { azureKeyVault } from '../../keys/providers/azure-key-vault.js';
import { gcpKms } from '../../keys/providers/gcp-kms.js';
import { secretBoxKey } from '../../keys/providers/secret-box.js';
import { parseProxyKeyUri } from '../../keys/proxy-key-uri.js';
import type { ReadConfig } from '../config.js';
import { AZURE_SDKS, sdkProblem } from '../open-wrapping-key.js';
import { endOfDay } from '../reading/day.js';
import type { ReadShape } from '../reading/read-shape.js';
import type { KEYS_ENTRY } from '../reading/schema.js';
import { readTextFile } from '../reading/text-file.js';
import { parseYaml } from '../reading/yaml-document.js';
import { UNASKED_AZURE, UNASKED_GCP } from '../unasked-clients.js';
import { fileIn, type Place } from './place.js';

type Written = NonNullable<ReadShape<typeof KEYS_ENTRY>['reads']>[number];

/** A format, with what tells its own keys wherever they are used. */
export interface ResolvedRead {
  readonly config: ReadConfig;
  readonly identities: readonly string[];
  readonly path: string;
}

/** `undefined` where something is wrong with it. */
export async function resolveRead(
  written: Written,
  path: string,
  place: Place,
): Promise<ResolvedRead | undefined> {
  const until = written.until === undefined ? {} : { until: written.until };
  if (written.until !== undefined && place.nowMs >= endOfDay(written.until))
    place.warnings.push(`${path}.until: has passed: ${written.format} opens no more`);
  if (!('keys' in written)) return { config: { format: written.format, ...until }, identities: [], path };
  const { format } = written;
  const file = fileIn(place, written.keys);
  const content = await readKeyFile(file, `${path}.keys`, place);
  if (content === undefined) return undefined;
  try {
    if (format === 'temporal-proxy') {
      const uris = urisIn(content);
      return { config: { format, uris, ...until }, identities: uris, path };
    }
    const keys = parseFixedKeys(content);
    const identities = new FixedKeys(keys).all().map(({ identity }) => identity);
    return { config: { format, keys, ...until }, identities, path };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    place.problems.add(`${path}.keys`, `in the key file ${file}: ${error.message}`);
    return undefined;
  }
}

async function readKeyFile(file: string, path: string, { problems }: Place): Promise<unknown> {
  const result = await readTextFile(file, { secret: true });
  const parsed = 'text' in result ? parseYaml(result.text) : undefined;
  if (parsed !== undefined && !('mistakes' in parsed)) return parsed.value ?? {};
  const [mistake] = parsed?.mistakes ?? [];
  const inFile = `in line ${mistake?.line ?? 1} of the key file ${file}: ${mistake?.sentence ?? 'is not YAML'}`;
  problems.add(path, 'sentence' in result ? result.sentence : inFile);
  return undefined;
}

/** `keys`: the URIs as they stand in the proxy's configuration; some are keys, so none is ever quoted. */
function urisIn(content: unknown): string[] {
  const { keys, ...rest } = content as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length < 1 || keys.length > 100 || Object.keys(rest).length > 0)
    throw new TypeError('has one entry, "keys": a list of 1 to 100 URIs');
  return keys.map((uri: unknown, index) => {
    try {
      if (typeof uri !== 'string') throw new TypeError('must be text');
      assertCanBeOpened(uri);
      return uri;
    } catch (error) {
      throw new TypeError(`keys[${index}]: ${error instanceof Error ? error.message : 'cannot be read'}`, {
        cause: error,
      });
    }
  });
}

/** @throws TypeError for a key that this server cannot open. */
function assertCanBeOpened(uri: string): void {
  const parsed = parseProxyKeyUri(uri);
  switch (parsed.scheme) {
    case 'base64key':
      secretBoxKey(uri);
      return;
    case 'awskms':
      assertInstalled('@aws-sdk/client-kms');
      return;
    case 'gcpkms':
      gcpKms({ client: UNASKED_GCP, key: parsed.key });
      assertInstalled('@google-cloud/kms');
      return;
    case 'azurekeyvault':
      azureKeyVault({ key: parsed.key, ...UNASKED_AZURE });
      AZURE_SDKS.forEach(assertInstalled);
      return;
  }
}

function assertInstalled(sdk: Parameters<typeof sdkProblem>[0]): void {
  const missing = sdkProblem(sdk);
  if (missing !== undefined) throw new TypeError(missing);
}
