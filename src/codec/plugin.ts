// The SDK plugin that seals what clients and workers send, failures included.
import type { ClientOptions } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { SimplePlugin } from '@temporalio/plugin';
import type { BundleOptions, ReplayWorkerOptions, Worker, WorkerOptions } from '@temporalio/worker';
import { assertOptions, hasMethods, NAMESPACE, optional, type Forms } from '../keys/options.js';
import { EncryptionCodec } from './encryption-codec.js';
import { failureConverterPath } from './failure-converter.cjs';
import { NamespacedCodec } from './namespaced-codec.js';
import { SealableFailures } from './sealable-failures.js';
import { assertBundleSealsFailures } from './workflow-bundle.js';

export interface KeyholePluginOptions {
  /** Seals and opens the payloads; shared by all that get this plugin. */
  readonly codec: EncryptionCodec;
  /** Whose histories a replay worker is given: the SDK does not say it there. Default is `default`. */
  readonly replayNamespace?: string;
}

const OPTIONS: Forms<KeyholePluginOptions> = {
  codec: {
    words: 'an EncryptionCodec',
    // not instanceof: it may be of the package's other build, ESM or CommonJS
    fits: (value) => hasMethods(value, 'encode', 'decode', 'reload', 'rotate'),
  },
  replayNamespace: optional(NAMESPACE),
};

/**
 * Sets up `codec` and the sealing of failures in whatever it is given to: `Client`, `Worker`, `Connection`,
 * `NativeConnection` and `bundleWorkflowCode`. Where several of them get it, it counts once.
 *
 * The codec comes after all codecs that are there already, so it sees a payload last before it leaves. Put the plugin
 * behind other plugins that change the data converter: a worker whose data converter was replaced later refuses to
 * run; a client cannot tell.
 *
 * Throws a `TypeError` where a failure converter of the user's own would be lost, where a prebuilt workflow bundle
 * lacks ours (its failures would be readable), and where a second plugin would seal what is sealed already.
 */
export class KeyholePlugin extends SimplePlugin {
  readonly #codec: EncryptionCodec;
  readonly #replayNamespace: string;

  /** @throws TypeError for options that cannot be right. */
  constructor(options: KeyholePluginOptions) {
    assertOptions('KeyholePlugin', options, OPTIONS);
    super({ name: 'temporal-keyhole' });
    const { codec, replayNamespace = 'default' } = options;
    this.#codec = codec;
    this.#replayNamespace = replayNamespace;
  }

  override configureClient(options: ClientOptions): ClientOptions {
    if (this.#isIn(options.dataConverter)) return super.configureClient(options);
    return super.configureClient({
      ...options,
      dataConverter: sealing(options.dataConverter, this.#namespaced(options)),
    });
  }

  override configureWorker(options: WorkerOptions): WorkerOptions {
    assertBundleSealsFailures(options.workflowBundle);
    if (this.#isIn(options.dataConverter)) return super.configureWorker(options);
    const codec = this.#namespaced(options);
    const sealable = new SealableFailures(codec);
    const activity = [...(options.interceptors?.activity ?? []), () => ({ inbound: sealable.activity })];
    const nexus = [...(options.interceptors?.nexus ?? []), () => ({ inbound: sealable.nexus })];
    const interceptors = { ...options.interceptors, activity, nexus };
    return super.configureWorker({
      ...options,
      interceptors,
      dataConverter: sealing(options.dataConverter, codec),
    });
  }

  override configureReplayWorker(options: ReplayWorkerOptions): ReplayWorkerOptions {
    if (this.#isIn(options.dataConverter)) return super.configureReplayWorker(options);
    const codec = this.#namespaced({ namespace: this.#replayNamespace }, 'always');
    return super.configureReplayWorker({ ...options, dataConverter: sealing(options.dataConverter, codec) });
  }

  /** `bundleWorkflowCode` knows nothing of data converters, so the path has to be set here. */
  override configureBundler(options: BundleOptions): BundleOptions {
    assertNoOtherFailureConverter(options.failureConverterPath);
    return { ...super.configureBundler(options), failureConverterPath };
  }

  /** Plugins behind this one have had their say by now. */
  override runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    const { dataConverter, workflowBundle } = worker.options;
    if (!this.#isIn(dataConverter)) {
      throw new TypeError(
        'another plugin took out the codec of temporal-keyhole: put KeyholePlugin behind it',
      );
    }
    assertNoOtherFailureConverter(dataConverter?.failureConverterPath);
    assertBundleSealsFailures(workflowBundle);
    return super.runWorker(worker, next);
  }

  #namespaced(
    { namespace = 'default' }: { readonly namespace?: string },
    applies: 'where the SDK says none' | 'always' = 'where the SDK says none',
  ): NamespacedCodec {
    return new NamespacedCodec({ codec: this.#codec, namespace, applies });
  }

  #isIn(dataConverter: DataConverter | undefined): boolean {
    const codecs = dataConverter?.payloadCodecs ?? [];
    return codecs.some((codec) => codec instanceof NamespacedCodec && codec.codec === this.#codec);
  }
}

/** A user's data converter with our codec behind its codecs, and our failure converter. */
function sealing(existing: DataConverter | undefined, codec: NamespacedCodec): DataConverter {
  assertNoOtherFailureConverter(existing?.failureConverterPath);
  assertNotLoaded(existing);
  const before = existing?.payloadCodecs ?? [];
  if (before.some((other) => other instanceof EncryptionCodec || other instanceof NamespacedCodec)) {
    throw new TypeError(
      'two codecs of temporal-keyhole would seal each other’s payloads: give one plugin to all',
    );
  }
  return { ...existing, payloadCodecs: [...before, codec], failureConverterPath };
}

function assertNoOtherFailureConverter(path: string | undefined): void {
  if (path === undefined || path === failureConverterPath) return;
  throw new TypeError(`temporal-keyhole seals failures by a failure converter of its own: remove ${path}`);
}

/** The SDK takes a loaded converter as it is and would ignore our path. */
function assertNotLoaded(dataConverter: DataConverter | undefined): void {
  if (dataConverter === undefined || !('failureConverter' in dataConverter)) return;
  throw new TypeError('temporal-keyhole needs a data converter given by paths, not a loaded one');
}
