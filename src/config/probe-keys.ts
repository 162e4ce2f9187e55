// Asks key services at the start whether the keys of namespaces that are listed by name can be used.
import type { Logger } from 'pino';
import { isKeyholeError } from '../errors.js';
import { KeyCalls } from '../keys/key-calls.js';
import type { Keyring } from '../keys/keyring.js';
import type { WrappingKey } from '../keys/wrapping-key.js';
import type { Observer } from '../observer.js';
import type { KeysConfig } from './config.js';
import type { Problem } from './problems.js';

export interface ProbeOptions {
  readonly keyring: Keyring;
  readonly observer: Observer;
  readonly logger: Logger;
}

/**
 * Wraps a data key and unwraps it, with each key of an entry. A problem is only what the service answers: that the
 * key does not exist or is disabled, or that we may not unwrap. A denied wrap is a warning (a server that only decodes
 * needs none), with a key of `unwrap` not even that; so is no answer: an outage must not keep a server from starting.
 */
export async function probeKeys(
  entries: readonly KeysConfig[],
  { keyring, observer, logger }: ProbeOptions,
): Promise<Problem[]> {
  const calls = new KeyCalls({ observer });
  const probes = entries.flatMap(({ namespaces }, index) =>
    namespaces
      .filter((name) => !name.includes('*'))
      .flatMap((namespace) => {
        const { write, unwrap } = keyring.forNamespace(namespace);
        const bound = write === 'keyhole/v1' ? namespace : null;
        return unwrap.map((key, at) => {
          const path = `keys[${index}].${at === 0 ? 'wrap' : `unwrap[${at - 1}]`}`;
          return probe({ namespace, bound, key, path, wraps: at === 0 }, { calls, logger });
        });
      }),
  );
  return (await Promise.all(probes)).flat();
}

interface Probed {
  readonly namespace: string;
  /** What its data keys are bound to. */
  readonly bound: string | null;
  readonly key: WrappingKey;
  readonly path: string;
  /** Whether it is the one that wraps. */
  readonly wraps: boolean;
}

async function probe(
  { namespace, bound, key, path, wraps }: Probed,
  { calls, logger }: { readonly calls: KeyCalls; readonly logger: Logger },
): Promise<Problem[]> {
  let during: 'generate' | 'unwrap' = 'generate';
  try {
    const made = await calls.run(during, key, bound, `${path} ${namespace} wrap`, (context) =>
      key.generateDataKey(context),
    );
    made.plaintext.fill(0);
    during = 'unwrap';
    const opened = await calls.run(during, key, bound, `${path} ${namespace} unwrap`, (context) =>
      key.unwrap(made.wrapped, made.keyId, context),
    );
    opened.plaintext.fill(0);
    return [];
  } catch (error) {
    const code = isKeyholeError(error) ? error.code : 'internal';
    if (code === 'key_gone')
      return [{ path, sentence: `namespace ${namespace}: the key does not exist or is disabled` }];
    if (code === 'key_denied' && during === 'unwrap') {
      return [{ path, sentence: `namespace ${namespace}: this server may not unwrap with the key` }];
    }
    if (code === 'key_denied' && !wraps) return [];
    const what =
      code === 'key_denied' ? 'this server may not wrap with the key' : 'the key could not be tried';
    logger.warn({ namespace, key: key.name, code }, what);
    return [];
  }
}
