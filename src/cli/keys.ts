// `keyhole keys generate`: a local key file.
import { randomBytes } from 'node:crypto';
import { writeLocalKeyFile } from '../config/reading/local-key-file.js';
import { EXIT, type ExitCode } from './exit-codes.js';

export interface GenerateKeysOptions {
  readonly file: string;
  readonly id: string | undefined;
}

export async function generateKeys({
  file,
  id = `local-${randomBytes(4).toString('hex')}`,
}: GenerateKeysOptions): Promise<ExitCode> {
  try {
    await writeLocalKeyFile(file, id);
  } catch (error) {
    if (error instanceof TypeError) {
      process.stderr.write(`--id: ${error.message}\n`);
      return EXIT.usage;
    }
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    const reason = exists ? 'is there already, and is not written over' : 'cannot be written';
    process.stderr.write(`${file} ${reason}\n`);
    return EXIT.failed;
  }
  process.stderr.write(
    `made ${file} with key ${id}: keep a copy, what is sealed under it opens with nothing else\n`,
  );
  return EXIT.fine;
}
