// The files that somebody needs to ask by hand: the authority, tokens, a body with sealed payloads.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Ground } from './ground.js';
import { PEOPLE } from './people.js';
import { nameOf, type NamespaceMaterial } from './story.js';
import type { DevFiles } from './what-to-open.js';

/** Writes them into dev mode's own directory, which goes with it. */
export async function writeHandFiles(
  directory: string,
  { provider, codec, ca }: Ground,
  material: ReadonlyMap<string, NamespaceMaterial>,
): Promise<DevFiles> {
  const files: DevFiles = {
    ca: join(directory, 'ca.pem'),
    tokenOf: (email) => join(directory, `${nameOf(email)}.token`),
    sealed: join(directory, 'sealed.json'),
    audit: codec.auditFile,
  };
  const [first] = material.values();
  await writeFile(files.ca, ca);
  await writeFile(files.sealed, JSON.stringify({ payloads: first?.page.sealed ?? [] }));
  for (const { email } of PEOPLE)
    await writeFile(files.tokenOf(email), await provider.tokenFor(email), { mode: 0o600 });
  return files;
}
