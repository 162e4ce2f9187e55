// Before the run: a folder for its streams. After it: no planted secret is in any of them.
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup(): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'keyhole-streams-'));
  process.env['KEYHOLE_TEST_STREAMS'] = directory;
  appendFileSync(join(directory, 'secrets'), '');
  return () => {
    const leaks = findLeaks(directory);
    const streams = readdirSync(directory).filter((file) => file.endsWith('.stream')).length;
    rmSync(directory, { recursive: true, force: true });
    process.stderr.write(`searched ${streams} streams for planted secrets: ${leaks.length} found\n`);
    if (leaks.length === 0) return;
    process.stderr.write(`${leaks.join('\n')}\n`);
    process.exitCode = 1; // a throw here would be printed, and vitest would still end with 0
  };
}

/** Lists each stream that holds a planted secret: as it is, in hex, or in base64 at any of its three alignments. */
export function findLeaks(directory: string): string[] {
  const lines = readFileSync(join(directory, 'secrets'), 'utf8').split('\n');
  const secrets = [...new Set(lines)]
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line, 'base64'));
  const streams = readdirSync(directory).filter((file) => file.endsWith('.stream'));
  return streams.flatMap((file) => {
    const text = readFileSync(join(directory, file));
    return secrets.flatMap((secret, index) => {
      const form = formsOf(secret).find(([, bytes]) => text.includes(bytes));
      return form === undefined ? [] : [`${file}: secret ${index} as ${form[0]}`];
    });
  });
}

function formsOf(secret: Buffer): [string, string | Buffer][] {
  const hex = secret.toString('hex');
  const base64 = [0, 1, 2].map((shift): [string, string] => {
    const whole = secret.subarray(shift, shift + Math.floor((secret.length - shift) / 3) * 3);
    return [`base64 (shift ${shift})`, whole.toString('base64')];
  });
  const base64url = base64.map(([name, text]): [string, string] => [
    name,
    text.replaceAll('+', '-').replaceAll('/', '_'),
  ]);
  return [['text', secret], ['hex', hex], ['hex', hex.toUpperCase()], ...base64, ...base64url];
}
