// For tests: a wrapping key that fails and waits on demand, and the contract that every wrapping key keeps.
import { randomBytes } from 'node:crypto';
import { KeyholeError } from './errors.js';
import type { GeneratedDataKey, KeyContext, UnwrappedDataKey, WrappingKey } from './keys/wrapping-key.js';

export {
  wrappingKeyContract,
  type KeyServiceUnderTest,
  type Misfortune,
  type WrappingKeyContractOptions,
} from './keys/contract.js';

/**
 * Keeps its data keys in memory. What it wrapped opens only here, under the namespace it was made for.
 */
export class FakeWrappingKey implements WrappingKey {
  readonly provider = 'fake';
  readonly name: string;
  /** Every call so far, in order. */
  readonly calls: { readonly operation: 'generate' | 'unwrap'; readonly namespace: string | null }[] = [];
  /** While set, every call rejects with it. */
  failure: Error | undefined;
  /** While set, every call waits for it first. */
  gate: Promise<void> | undefined;
  /** Bytes of the data keys it makes; anything but 32 is what a broken service would answer. */
  dataKeyBytes = 32;
  readonly #made = new Map<string, { readonly plaintext: Uint8Array; readonly namespace: string | null }>();

  constructor(name = 'fake-key') {
    this.name = name;
  }

  holds(keyId: string): 'yes' | 'no' {
    return keyId === this.name ? 'yes' : 'no';
  }

  async generateDataKey({ namespace }: KeyContext): Promise<GeneratedDataKey> {
    await this.#answer('generate', namespace);
    const plaintext = randomBytes(this.dataKeyBytes);
    const wrapped = randomBytes(16);
    this.#made.set(wrapped.toString('hex'), { plaintext: Buffer.from(plaintext), namespace });
    return { keyId: this.name, plaintext, wrapped };
  }

  async unwrap(
    wrapped: Uint8Array,
    _keyId: string | null,
    { namespace }: KeyContext,
  ): Promise<UnwrappedDataKey> {
    await this.#answer('unwrap', namespace);
    const made = this.#made.get(Buffer.from(wrapped).toString('hex'));
    if (made?.namespace !== namespace) {
      throw new KeyholeError(
        'key_wrong_context',
        `${this.name} did not wrap this data key for this namespace`,
      );
    }
    return { keyId: this.name, plaintext: Buffer.from(made.plaintext) };
  }

  async #answer(operation: 'generate' | 'unwrap', namespace: string | null): Promise<void> {
    this.calls.push({ operation, namespace });
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
  }
}
