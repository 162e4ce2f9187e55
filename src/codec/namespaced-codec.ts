// An encryption codec that knows the namespace of its client or worker, where the SDK does not say one.
import type { Payload, PayloadCodec } from '@temporalio/common';
import { isKeyholeError, KeyholeError } from '../errors.js';
import type { EncryptionCodec } from './encryption-codec.js';

export interface NamespacedCodecOptions {
  readonly codec: EncryptionCodec;
  readonly namespace: string;
  /**
   * A worker encodes the failure of a workflow task without a context; a replay worker says `default` whatever
   * namespace its histories come from.
   */
  readonly applies: 'where the SDK says none' | 'always';
}

interface NamespaceContext {
  readonly namespace?: string;
}

/** Passes payloads to `codec` with a namespace. */
export class NamespacedCodec implements PayloadCodec {
  readonly codec: EncryptionCodec;
  readonly #own: NamespaceContext;
  readonly #always: boolean;

  constructor({ codec, namespace, applies }: NamespacedCodecOptions) {
    this.codec = codec;
    this.#own = { namespace };
    this.#always = applies === 'always';
  }

  encode(payloads: Payload[], context?: NamespaceContext): Promise<Payload[]> {
    return this.codec.encode(payloads, this.#contextOf(context));
  }

  decode(payloads: Payload[], context?: NamespaceContext): Promise<Payload[]> {
    const decoding = this.codec.decode(payloads, this.#contextOf(context));
    return this.#always ? decoding.catch(toldOfTheOption) : decoding;
  }

  #contextOf(context: NamespaceContext | undefined): NamespaceContext {
    return this.#always || context?.namespace === undefined ? this.#own : context;
  }
}

/** Only whoever set up the replay knows whose histories it is given. */
function toldOfTheOption(error: unknown): never {
  if (!isKeyholeError(error) || error.code !== 'namespace_refused') throw error;
  const message = `${error.message}: say whose histories are replayed by the option replayNamespace of KeyholePlugin`;
  throw new KeyholeError(error.code, message, { cause: error });
}
