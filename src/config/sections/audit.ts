// `audit`: where the record goes, whether it can be written there, and who gets it a second time.
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AuditWebhookConfig, Config } from '../config.js';
import { readShape, type ReadShape } from '../reading/read-shape.js';
import { AUDIT } from '../reading/schema.js';
import { readTextFile } from '../reading/text-file.js';
import { readCertificates } from './certificates.js';
import { fileIn, type Place } from './place.js';

/** Makes and writes nothing; whether a record can be synced shows at the start of the server. */
export async function readAudit(
  written: unknown,
  place: Place,
): Promise<Pick<Config, 'audit' | 'auditWebhook'> | undefined> {
  if (written === 'stdout') {
    place.warnings.push('the record goes to stdout: it is only as durable as what reads it');
    return { audit: written };
  }
  if (typeof written !== 'object') {
    place.problems.add('audit', 'must be stdout, or { file: PATH }');
    return undefined;
  }
  const audit = readShape(AUDIT, written, 'audit', place.problems);
  const auditWebhook = await readWebhook(audit, place);
  if (audit.file === undefined) return undefined;
  const file = fileIn(place, audit.file);
  const sentence = await fileProblem(file);
  if (sentence !== undefined) place.problems.add('audit.file', sentence);
  return { audit: { file }, ...(auditWebhook && { auditWebhook }) };
}

/** The value of an `Authorization` header. @throws Error with one sentence. */
export async function readAuthorization(file: string): Promise<string> {
  const result = await readTextFile(file, { secret: true });
  if ('sentence' in result) throw new Error(result.sentence);
  const value = result.text.trim();
  if (/^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(value)) return value;
  throw new Error(`the file ${file} does not hold the value of an Authorization header, such as Bearer …`);
}

async function readWebhook(
  { webhook }: ReadShape<typeof AUDIT>,
  place: Place,
): Promise<AuditWebhookConfig | undefined> {
  if (webhook === undefined) return undefined;
  const path = 'audit.webhook';
  const { username, password } = new URL(webhook.url);
  if (username !== '' || password !== '')
    place.problems.add(`${path}.url`, 'a secret is never written into this file: use authorizationFile');
  const authorizationFile =
    webhook.authorizationFile === undefined ? undefined : fileIn(place, webhook.authorizationFile);
  if (authorizationFile !== undefined)
    await readAuthorization(authorizationFile).catch((error: unknown) => {
      place.problems.add(`${path}.authorizationFile`, error instanceof Error ? error.message : 'unknown');
    });
  const ca =
    webhook.ca === undefined
      ? undefined
      : await readCertificates(fileIn(place, webhook.ca), `${path}.ca`, place);
  return {
    url: webhook.url,
    ...(authorizationFile !== undefined && { authorizationFile }),
    ...(ca !== undefined && { ca }),
  };
}

/**
 * Each chain of records begins in a new file, which takes this name: so the directory counts. The file before is read,
 * and kept by a link, which Linux refuses for a file of others that one cannot read and write (fs.protected_hardlinks).
 */
export async function fileProblem(file: string): Promise<string | undefined> {
  const directory = dirname(file);
  const there = await stat(file).catch(() => undefined);
  if (there !== undefined && !there.isFile()) return `is not a file: ${file}`;
  if (!(await may(directory, constants.F_OK))) return `its directory ${directory} does not exist`;
  if (!(await may(directory, constants.W_OK))) return `this user may not write in its directory ${directory}`;
  if (there === undefined || there.uid === process.getuid?.()) return undefined;
  return (await may(file, constants.R_OK | constants.W_OK))
    ? undefined
    : `the file ${file} belongs to another user, and this one may not read and write it: chown it, or move it away`;
}

function may(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
