// Audit files whose disk hangs and fails as a test wants it to.
import {
  openForAppending,
  type AuditFileHandle,
  type OpenAuditFile,
} from '../../../src/access/audit/file-handle.js';

/** A real file, each of whose operations may first wait or fail. */
export class Faults {
  readonly done: string[] = [];
  /** Once a file was made, before anything is written to it. */
  begin: (() => Promise<void>) | undefined;
  write: (() => Promise<void>) | undefined;
  datasync: (() => Promise<void>) | undefined;
  /** Bytes one write takes at most. */
  portion = Infinity;

  /** How many files are open. */
  get left(): number {
    return this.#count('open') - this.#count('close');
  }

  readonly open: OpenAuditFile = async (file) => {
    const begin = this.begin;
    const real = await openForAppending(file);
    this.done.push('open');
    await begin?.();
    return this.#with(real);
  };

  #count(what: string): number {
    return this.done.filter((one) => one === what).length;
  }

  #with(real: AuditFileHandle): AuditFileHandle {
    let isOpen = true;
    return {
      stat: () => real.stat(),
      close: async () => {
        await real.close();
        if (isOpen) this.done.push('close');
        isOpen = false;
      },
      write: async (bytes, offset) => {
        await this.write?.();
        this.done.push('write');
        return real.write(bytes.subarray(0, offset + this.portion), offset);
      },
      datasync: async () => {
        await this.datasync?.();
        await real.datasync();
        this.done.push('sync');
      },
    };
  }
}

export function errorOf(code: string): () => Promise<never> {
  return () => Promise.reject(Object.assign(new Error(code), { code }));
}
