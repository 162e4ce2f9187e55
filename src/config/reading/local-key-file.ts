// Reads a local key file, and makes one.
import { open } from 'node:fs/promises';
import { isPublishedKey } from '../../keys/fixed-keys.js';
import {
  LocalWrappingKey,
  newLocalKeyFile,
  parseLocalKeys,
  type LocalKey,
} from '../../keys/providers/local.js';
import type { Place } from '../sections/place.js';
import { readTextFile } from './text-file.js';
import { parseYaml } from './yaml-document.js';

/** `undefined` where something is wrong with it. */
export async function readLocalKeyFile(
  file: string,
  path: string,
  { problems }: Place,
): Promise<LocalKey[] | undefined> {
  const result = await readTextFile(file, { secret: true });
  const sentence = 'sentence' in result ? result.sentence : undefined;
  const keys = 'text' in result ? parseKeys(result.text, file) : undefined;
  if (Array.isArray(keys)) return keys;
  problems.add(path, sentence ?? keys ?? '');
  return undefined;
}

/** The keys, or what is wrong in a sentence. */
function parseKeys(text: string, file: string): LocalKey[] | string {
  const parsed = parseYaml(text);
  if ('mistakes' in parsed) {
    const [{ line, sentence } = { line: 1, sentence: 'is not YAML' }] = parsed.mistakes;
    return `in line ${line} of the key file ${file}: ${sentence}`;
  }
  try {
    const keys = parseLocalKeys(parsed.value);
    new LocalWrappingKey(keys);
    if (keys.some(({ secret }) => isKnown(secret)))
      return `the key file ${file} holds a key that is published`;
    return keys;
  } catch (error) {
    return `in the key file ${file}: ${error instanceof TypeError ? error.message : 'cannot be read'}`;
  }
}

function isKnown(secret: Uint8Array): boolean {
  return isPublishedKey(secret) || new Set(secret).size === 1;
}

/**
 * Makes a key file with one fresh key, mode 0600.
 *
 * @throws TypeError for an id that cannot be; an error of the file system, `EEXIST` where a file is there: it is
 * never written over.
 */
export async function writeLocalKeyFile(file: string, id: string): Promise<void> {
  const content = newLocalKeyFile(id);
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
