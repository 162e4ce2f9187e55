// The library as it is published: what runs from its sources pays the loader for the name of every closure it makes.
import type * as Library from '../src/index.js';
import type * as Testing from '../src/testing.js';

export async function built(file: string): Promise<unknown> {
  try {
    return await import(new URL(`../dist/${file}`, import.meta.url).href);
  } catch (cause) {
    throw new Error('what is measured is dist/: run `npm run build` first', { cause });
  }
}

export const { awsKms, EncryptionCodec, LocalWrappingKey } = (await built('index.js')) as typeof Library;
export const { FakeWrappingKey } = (await built('testing.js')) as typeof Testing;
