// Asks key services at the start whether the keys of namespaces that are listed by name can be used.
import type { Logger } from 'pino';
import { isKeyholeError } from '../errors.js';
import { KeyCalls } from '../keys/key-calls.js';
import type { Keyring } from '../keys/keyring.js';
import type { Observer } from '../observer.js';
import type { KeysConfig } from './config.js';
import type { Problem } from './problems.js';

export interface ProbeOptions {
  readonly keyring: Keyring;
  readonly observer: Observer;
  readonly logger: Logger;
}

/**
 * Wraps a data key and unwraps it. A problem is only what the service answers: that the key does not exist or is
 * disabled, or that we may not unwrap. A denied wrap is a warning (a server that only decodes needs none), and so is
 * no answer: an outage must not keep a server from starting.
 */
export async function probeKeys(
  entries: readonly KeysConfig[],
  { keyring, observer, logger }: ProbeOptions,
): Promise<Problem[]> {
  const calls = new KeyCalls({ observer });
  const probes = entries.flatMap(({ namespaces }, index) =>
    namespaces
      .filter((name) => !name.includes('*'))
      .map((name) => probe(name, `keys[${index}].wrap`, { keyring, calls, logger })),
  );
  return (await Promise.all(probes)).flat();
}

async function probe(
  namespace: string,
  path: string,
  { keyring, calls, logger }: Omit<ProbeOptions, 'observer'> & { readonly calls: KeyCalls },
): Promise<Problem[]> {
  const { wrap, write } = keyring.forNamespace(namespace);
  const bound = write === 'keyhole/v1' ? namespace : null;
  const name = `probe ${wrap.provider} ${wrap.name} ${namespace}`;
  let during: 'generate' | 'unwrap' = 'generate';
  try {
    const made = await calls.run(during, wrap, bound, `${name} wrap`, (context) =>
      wrap.generateDataKey(context),
    );
    made.plaintext.fill(0);
    during = 'unwrap';
    const opened = await calls.run(during, wrap, bound, `${name} unwrap`, (context) =>
      wrap.unwrap(made.wrapped, made.keyId, context),
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
    const what =
      code === 'key_denied' ? 'this server may not wrap with the key' : 'the key could not be tried';
    logger.warn({ namespace, key: wrap.name, code }, what);
    return [];
  }
}
