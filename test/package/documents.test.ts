// Every TypeScript example of the documents compiles as it stands, against the library as it is.
import { installLine, NEEDED_PACKAGES, TEMPORAL_PACKAGES } from '../../src/dev/optional-package.js';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENTS = ['README.md'].concat(
  ['workers', 'self-hosted', 'key-services', 'formats'].map((name) => `docs/${name}.md`),
);

/** A block of TypeScript, padded so that its lines have the numbers they have in the document. */
interface Block {
  readonly file: string;
  readonly code: string;
}

const blocks = DOCUMENTS.flatMap(blocksOf);

describe('the TypeScript of the documents', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'keyhole-documents-'));
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
    const tsconfig = { extends: join(ROOT, 'tsconfig.json'), include: ['*.ts'] };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(tsconfig));
    for (const { file, code } of blocks) writeFileSync(join(directory, file), code);
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test.each(DOCUMENTS)('is found in %s', (document) => {
    expect(blocks.filter(({ file }) => file.startsWith(nameOf(document)))).not.toEqual([]);
  });

  test('compiles', async () => {
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    const said = await new Promise((resolve) => {
      execFile(process.execPath, [compiler, '--noEmit', '-p', directory], { cwd: directory }, (_, stdout) => {
        resolve(stdout);
      });
    });
    expect(said).toBe('');
  });
});

function blocksOf(document: string): Block[] {
  const text = readFileSync(join(ROOT, document), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ index, 1: code = '' }) => {
    const line = text.slice(0, index).split('\n').length;
    return { file: `${nameOf(document)}-${line}.ts`, code: '\n'.repeat(line) + code };
  });
}

function nameOf(document: string): string {
  return document.replaceAll(/\W/g, '-');
}

test('the guide to dev mode has the install lines that it tells itself', () => {
  const guide = readFileSync(join(ROOT, 'docs/dev.md'), 'utf8');
  for (const packages of [NEEDED_PACKAGES, TEMPORAL_PACKAGES])
    expect(guide).toContain(`\n${installLine(Object.keys(packages))}\n`);
});
