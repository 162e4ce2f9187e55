// `audit`: where the record goes, and whether it can be written there.
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config } from './config.js';
import { fileIn, type Place } from './place.js';
import type { ReadShape } from './read-shape.js';
import type { FILE } from './schema.js';

/** Makes and writes nothing; whether a record can be synced shows at the start of the server. */
export async function readAudit(
  { audit }: ReadShape<typeof FILE>,
  place: Place,
): Promise<Config['audit'] | undefined> {
  if (audit === 'stdout') {
    place.warnings.push('the record goes to stdout: it is only as durable as what reads it');
    return audit;
  }
  if (audit === undefined) return undefined;
  const file = fileIn(place, audit.file);
  const sentence = await fileProblem(file);
  if (sentence !== undefined) place.problems.add('audit.file', sentence);
  return { file };
}

/** Each chain of records begins in a new file, which takes this name: so the directory counts. */
async function fileProblem(file: string): Promise<string | undefined> {
  const there = await stat(file).catch(() => undefined);
  if (there !== undefined && !there.isFile()) return 'is not a file';
  const mayWrite = await access(dirname(file), constants.W_OK).then(
    () => true,
    () => false,
  );
  return mayWrite ? undefined : 'its directory does not exist, or this user may not write there';
}
